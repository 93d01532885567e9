"""The edge of the API: paths as people write them, and HEAD.

ASGI middleware; knows no endpoint.
"""

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SLASHES = re.compile(r"/{2,}")
ALIAS = re.compile(r"^/v1(?=/(v1|v2|tokenize|detokenize|version)(/|$))")
"""Together's client adds /v1 or /v2 to a base URL that, as OpenAI's, ends in /v1 already."""


def plain_path(path: str) -> str:
    """The path without doubled slashes, one at its end, or a first /v1 too many."""
    return ALIAS.sub("", SLASHES.sub("/", path).rstrip("/")) or "/"


class Edge:
    """Passes requests on with their plain path, HEAD as GET (the server leaves the body out);
    browsers do not guess what the answers are.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def described(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("x-content-type-options", "nosniff")
                if "GET" in headers.get("allow", ""):
                    headers["allow"] += ", HEAD"
            await send(message)

        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        changed = {**scope, "method": method, "path": plain_path(scope["path"])}
        await self._app(changed, receive, described)
