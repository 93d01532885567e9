"""The page's own endpoints under the API's limits of bodies.

ASGI middleware; who may use them is `playground.api.gate`'s. Knows nothing of what the page does.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.api.body_limit import MIB
from playground.api.edge import plain_path
from playground.api.errors import Refused, translate
from playground.settings import ServerSettings

ENDPOINTS = "/gradio_api/"
UPLOAD = "/gradio_api/upload"


class PageGuard:
    """Lets requests of the page pass, or answers them with 411 or 413."""

    def __init__(self, app: ASGIApp, limits: ServerSettings) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = plain_path(scope["path"]) if scope["type"] == "http" else ""
        if path.startswith(ENDPOINTS) and scope["method"] == "POST":
            try:
                receive = await self._limited(path, Headers(scope=scope), receive)
            except Refused as error:
                await translate(error).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _limited(self, path: str, headers: Headers, receive: Receive) -> Receive:
        """The body, within its limit. That of an upload is as long as its header says."""
        if path != UPLOAD:
            return await _whole(receive, self._limits.max_body_mib)
        length = headers.get("content-length", "")
        if not length.isdecimal():
            raise Refused(411, "length_required", "send the upload with its Content-Length")
        if int(length) > self._limits.max_upload_mib * MIB:
            raise _too_large(self._limits.max_upload_mib)
        return receive


async def _whole(receive: Receive, max_mib: float) -> Receive:
    """Read a body of at most ``max_mib`` and return what hands it on."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
        if len(body) > max_mib * MIB:
            raise _too_large(max_mib)
    waiting: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _too_large(max_mib: float) -> Refused:
    problem = f"the request's body is over {max_mib:g} MiB, the most taken here"
    return Refused(413, "request_too_large", problem)
