"""The page's own endpoints under the API's rules: the key where one is set, and limits of bodies.

Named endpoints (``/gradio_api/call/…``, ``/gradio_api/run/NAME``) are for programs and need the
key, as ``/v1`` does. The page's events need the key or the session cookie that a browser gets with
the page. ASGI middleware; knows nothing of what the page does.
"""

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.access import Access
from playground.api.body_limit import MIB
from playground.api.edge import plain_path
from playground.api.errors import Refused, translate
from playground.errors import PlaygroundError
from playground.settings import ServerSettings

PAGE, ENDPOINTS = "/", "/gradio_api"
NAMED = (f"{ENDPOINTS}/call/", f"{ENDPOINTS}/run/", f"{ENDPOINTS}/api/")
UNNAMED = (f"{ENDPOINTS}/run/predict", f"{ENDPOINTS}/api/predict")
"""Where the page sends events that do not queue."""
UPLOAD = f"{ENDPOINTS}/upload"
COOKIE = "playground_page"


class PageGuard:
    """Lets requests of the page pass, or answers them with 401, 411 or 413."""

    def __init__(self, app: ASGIApp, access: Access, limits: ServerSettings) -> None:
        self._app = app
        self._access = access
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = plain_path(scope["path"]) if scope["type"] == "http" else ""
        if path == PAGE and self._access.needs_key:
            await self._app(scope, receive, self._with_session(send))
            return
        if not path.startswith(f"{ENDPOINTS}/"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_key(path, headers)
            if scope["method"] == "POST":
                receive = await self._limited(path, headers, receive)
        except PlaygroundError as error:
            await translate(error).response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_key(self, path: str, headers: Headers) -> None:
        authorization = headers.get("authorization")
        if path.startswith(NAMED) and path not in UNNAMED:
            self._access.check(authorization)
        else:
            self._access.check_page(authorization, _cookie(headers))

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

    def _with_session(self, send: Send) -> Send:
        cookie = f"{COOKIE}={self._access.new_page_session()}; Path=/; HttpOnly; SameSite=Strict"

        async def with_session(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        return with_session


def _cookie(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


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
