"""The page's one place where errors become words on the screen.

Our own errors are shown as they read; anything else is logged whole and shown as a fault of ours.
"""

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

import gradio as gr

from playground.errors import Kind, PlaygroundError

logger = logging.getLogger(__name__)

TITLES: Mapping[Kind, str] = MappingProxyType(
    {
        "invalid": "Not accepted",
        "unauthorized": "Not allowed",
        "not_found": "Not found",
        "conflict": "Not possible now",
        "overloaded": "Too busy",
        "unavailable": "Not available",
        "failed": "Failed",
    }
)


def shows_errors(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an event handler, plain or an async generator, so that what it raises is a toast."""

    @functools.wraps(handler)
    async def streaming(*args: Any, **kwargs: Any) -> Any:
        try:
            async with aclosing(handler(*args, **kwargs)) as updates:
                async for update in updates:
                    yield update
        except Exception as error:
            raise _toast(error) from error

    @functools.wraps(handler)
    def plain(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            raise _toast(error) from error

    return streaming if inspect.isasyncgenfunction(handler) else plain


def _toast(error: Exception) -> Exception:
    toast: Exception
    if isinstance(error, PlaygroundError):
        toast = gr.Error(error.message, title=TITLES[error.kind], print_exception=False)
        return toast
    logger.error("An event of the page failed", exc_info=error)
    text = "The playground failed in a way it should not. Its log has the details."
    toast = gr.Error(text, title="Our fault", print_exception=False)
    return toast
