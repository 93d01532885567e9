"""The edge of the API: paths as people write them, HEAD, and an id for every request.

ASGI middleware; knows no endpoint.
"""

import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "x-request-id"
SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
SLASHES = re.compile(r"/{2,}")

log = logging.getLogger(__name__)


def plain_path(path: str) -> str:
    """The path without doubled slashes and without one at its end."""
    return SLASHES.sub("/", path).rstrip("/") or "/"


class Edge:
    """Passes requests on with their plain path, HEAD as GET (the server leaves the body out), and
    answers with ``x-request-id``: the client's own, if it is short and plain, or a new one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if SANE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                if "GET" in headers.get("allow", ""):
                    headers["allow"] += ", HEAD"
            await send(message)

        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        changed = {**scope, "method": method, "path": plain_path(scope["path"])}
        try:
            await self._app(changed, receive, identified)
        except Exception:
            log.error("request %s failed: %s %s", request_id, method, scope["path"])
            raise
