"""The page's one place where errors become words on the screen.

Our own errors are shown as they read; anything else is logged with its traceback and shown as an
internal error.
"""

import html
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import gradio as gr

from playground.errors import Kind, PlaygroundError
from playground.logs import within_request
from playground.ui.components.visiting import request_of_event

logger = logging.getLogger(__name__)

TITLES: Mapping[Kind, str] = MappingProxyType(
    {
        "invalid": "Not accepted",
        "unauthorized": "Not allowed",
        "forbidden": "Not allowed",
        "not_found": "Not found",
        "conflict": "Not possible now",
        "overloaded": "Too busy",
        "unavailable": "Not available",
        "failed": "Failed",
    }
)


@contextmanager
def error_toasts() -> Iterator[None]:
    """Turn what is raised inside into the error that Gradio shows as a toast."""
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        raise _toast(error) from error


def _toast(error: Exception) -> Exception:
    toast: Exception
    if isinstance(error, PlaygroundError):
        # A toast draws HTML, and messages quote names and texts.
        toast = gr.Error(
            html.escape(error.message, quote=False), title=TITLES[error.kind], print_exception=False
        )
        return toast
    with within_request(request_of_event()):
        logger.error("An event of the page failed", exc_info=error)
    text = "Something went wrong in the playground. The server's log has the details."
    toast = gr.Error(text, title="Internal error", print_exception=False)
    return toast
