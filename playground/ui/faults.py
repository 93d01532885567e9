"""Requests that Gradio's endpoints cannot read: a 4xx with the reason, not a 500 and a traceback.

And files that are named by an address, which Gradio would fetch. What handlers raise does not come
here: it is a toast (`playground.ui.components.errors`).
"""

import logging
import re
import sys
from types import SimpleNamespace

import gradio as gr
from fastapi import FastAPI
from gradio import processing_utils, queueing, routes
from gradio.route_utils import FnIndexInferError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.logs import within_request
from playground.ui.components.visiting import request_of_event

logger = logging.getLogger(__name__)

UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What Gradio 6.31 raises for a body without its fields, and for an upload without files."""
NAMED_ENDPOINT = "/gradio_api/call/"
EVENT = re.compile(r"/gradio_api/call/(v2/)?[^/]+/(?P<event>[^/]+)")


def answer_faults(app: FastAPI, page: gr.Blocks) -> None:
    """Answer requests that the endpoints of ``app`` cannot read; before its first request.

    ``app`` is the one that Gradio made of ``page``.
    """

    async def unreadable(request: Request, error: Exception) -> JSONResponse:
        unknown = isinstance(error, KeyError) and NAMED_ENDPOINT in request.url.path
        if unknown or isinstance(error, FnIndexInferError):
            return JSONResponse({"detail": f"there is no endpoint {request.url.path}"}, 404)
        return JSONResponse({"detail": f"the request cannot be read: {error}"}, 400)

    for kind in (*UNREADABLE, FnIndexInferError):
        app.add_exception_handler(kind, unreadable)
    app.add_middleware(KnownEvents, page=page)
    processing_utils.async_ssrf_protected_download = _refuse_address
    queueing.traceback = routes.traceback = SimpleNamespace(print_exc=_log_fault)


def _log_fault() -> None:
    """In the place of what Gradio (6.31) prints to standard error, past the log."""
    error = sys.exc_info()[1]
    with within_request(request_of_event()):
        if isinstance(error, gr.Error):
            logger.warning("an event of the page was refused: %s", error.message)
        else:
            logger.error("an event of the page failed before its handler", exc_info=error)


async def _refuse_address(_url: str, **_cache: str) -> str:
    """In the place of Gradio's download (6.31), which any visitor could make this machine do."""
    problem = "a file is uploaded; nothing is fetched from an address"
    raise gr.Error(problem, title="Not accepted", print_exception=False)


class KnownEvents:
    """ASGI middleware: asking for an event that was never called for is a 404; Gradio would begin
    a stream and break it off.
    """

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        asked = EVENT.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if asked and scope["method"] == "GET" and not self._is_known(asked["event"]):
            detail = f"there is no event {asked['event']!r}, or it is over"
            await JSONResponse({"detail": detail}, 404)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_known(self, event: str) -> bool:
        queue = self._page._queue  # as Gradio's own route looks for it
        waiting = queue.pending_event_ids_session.values()
        return event in queue.event_ids_to_events or any(event in ids for ids in waiting)
