"""A span for each request of the API, and for each event that the page sends.

ASGI middleware, there only if somebody traces; a client's ``traceparent`` is followed. What an
answer took is a part of it (`playground.lab.traces`). Knows no collector and no endpoint.
"""

import re
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.api.edge import plain_path
from playground.api.request_log import REQUEST
from playground.tracing import Tracer, within

SPAN: Final = "playground.span"
"""Key of the scope under which the page's events find the span of the request that sent them."""
TRACED: Final = re.compile(r"/(v1|v2|tokenize|detokenize)(/.*)?|/gradio_api/(queue/join|call/.+)")
CARRIED: Final = ("traceparent", "tracestate")
ID: Final = re.compile(r"(?=.*\d)[\w.:@-]{9,}")
"""Parts of a path that name one thing of many."""


class TraceRequests:
    """Passes requests on inside of their span."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = plain_path(scope["path"]) if scope["type"] == "http" else ""
        if not TRACED.fullmatch(path):
            await self._app(scope, receive, send)
            return
        headers, method = Headers(scope=scope), scope["method"]
        span = self._tracer.root(
            f"{method} {route_of(path)}",
            {
                "http.request.method": method,
                "http.route": route_of(path),
                "url.path": path,
                "url.scheme": str(scope.get("scheme", "http")),
                "playground.request_id": str(scope.get(REQUEST, "")),
            },
            kind="server",
            carrier={name: headers[name] for name in CARRIED if name in headers},
        )

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set({"http.response.status_code": message["status"]})
                if message["status"] >= 500:
                    span.set({"error.type": str(message["status"])})
            await send(message)

        try:
            with within(span):
                await self._app({**scope, SPAN: span}, receive, noted)
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            span.end()


def route_of(path: str) -> str:
    """Return a path without the names of single things: ``/v1/files/{id}/content``."""
    return "/".join("{id}" if ID.fullmatch(part) else part for part in path.split("/"))
