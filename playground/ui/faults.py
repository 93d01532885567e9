"""Requests that Gradio's endpoints cannot read: a 4xx with the reason, not a 500 and a traceback.

What handlers raise does not come here: it is a toast (`playground.ui.components.errors`).
"""

from fastapi import FastAPI
from gradio.route_utils import FnIndexInferError
from starlette.requests import Request
from starlette.responses import JSONResponse

UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What Gradio 6.31 raises for a body without its fields, and for an upload without files."""
NAMED_ENDPOINT = "/gradio_api/call/"


def answer_faults(page: FastAPI) -> None:
    """Answer requests that the endpoints of ``page`` cannot read, before its first request."""

    async def unreadable(request: Request, error: Exception) -> JSONResponse:
        unknown = isinstance(error, KeyError) and NAMED_ENDPOINT in request.url.path
        if unknown or isinstance(error, FnIndexInferError):
            return JSONResponse({"detail": f"there is no endpoint {request.url.path}"}, 404)
        return JSONResponse({"detail": f"the request cannot be read: {error}"}, 400)

    for kind in (*UNREADABLE, FnIndexInferError):
        page.add_exception_handler(kind, unreadable)
