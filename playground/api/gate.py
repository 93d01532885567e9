"""The gate before page and API: who asks is known, and may do it, before anything of it runs.

ASGI middleware over `Access`, the same for both; knows no endpoint. Whose page a request comes from
is `playground.api.origins`'. What passes runs as its identity: limits count for it, and the store
shows what is its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.access import Access, Area, Credentials, FairUse, Identity, acting_as
from playground.access.access import PAGE
from playground.access.paths import area_of
from playground.api.edge import plain_path
from playground.api.errors import ANTHROPIC_PATH, translate
from playground.api.link_page import closed_page
from playground.api.origins import Origins
from playground.api.page_policy import policy
from playground.api.root import LINK, cookie_path
from playground.errors import (
    LinkClosed,
    ModelLoading,
    PlaygroundError,
    Unauthorized,
    UnknownModel,
)

PAGE_COOKIE, SESSION_COOKIE = "playground_page", "playground_session"
IDENTITY = "playground.identity"
"""Key of the scope under which the page's events find who sent them."""


class Gate:
    """Lets a request pass as its identity, or answers it with 401 or 403; who loads the page and
    is not signed in is sent to where that is done. ``frames`` are origins whose pages may show in a
    frame what guests see. ``models`` raises `UnknownModel` or `ModelLoading` where there is none
    for whoever asks: guests are told so instead of getting a page that cannot answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        origins: Origins,
        frames: Sequence[str] = (),
        models: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self._origins = origins
        self._frames = tuple(frames)
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, given = plain_path(scope["path"]), credentials_of(scope)
        try:
            identity = await self._admit(scope["method"], path, given)
            self._origins.check(scope, identity)
            if path == PAGE and identity.is_guest and self._models:
                with acting_as(identity):
                    await self._models()
        except PlaygroundError as error:
            response = translate(error).response(of_anthropic=bool(ANTHROPIC_PATH.search(path)))
            if isinstance(error, Unauthorized) and path == PAGE:
                response = RedirectResponse("login", 303)
            if isinstance(error, LinkClosed | UnknownModel | ModelLoading) and path == PAGE:
                response = closed_page(error, self._policy())
            await response(scope, receive, send)
            return
        if path == PAGE and identity.via == "visit" and not self._access.knows_page(given.page):
            send = self._with_page_session(send, scope)
        if path == PAGE and identity.is_guest and identity.via == "visit":
            send = _with_header(send, "content-security-policy", self._policy())
        if self._access.fair_use and area_of(scope["method"], path) is Area.CHAT:
            send = self._with_limits(send, self._access.fair_use, identity)
        with acting_as(identity, _source(path)):
            await self._app({**scope, IDENTITY: identity}, receive, send)

    async def _admit(self, method: str, path: str, given: Credentials) -> Identity:
        if self._access.people is None:
            return self._access.admit(method, path, given)
        return await asyncio.to_thread(self._access.admit, method, path, given)  # a database

    def _with_limits(self, send: Send, fair_use: FairUse, identity: Identity) -> Send:
        async def with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(fair_use.headers(identity))
            await send(message)

        return with_limits

    def _with_page_session(self, send: Send, scope: Scope) -> Send:
        """A frame on another site's page gets cookies of its own there, over HTTPS, if any."""
        is_framed = Headers(scope=scope).get("sec-fetch-dest") == "iframe"
        site = "SameSite=Strict"
        if self._frames and is_framed and scope.get("scheme") == "https":
            site = "SameSite=None; Secure; Partitioned"
        session = self._access.new_page_session()
        cookie = f"{PAGE_COOKIE}={session}; Path={cookie_path(scope)}; HttpOnly; {site}"
        return _with_header(send, "set-cookie", cookie)

    def _policy(self) -> str:
        return policy(self._frames)


def _with_header(send: Send, name: str, value: str) -> Send:
    async def with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append(name, value)
        await send(message)

    return with_header


def _source(path: str) -> str:
    """The endpoint; on the page the tab is (`playground.ui.components.binding`)."""
    return path if path.startswith("/v1/") else ""


def credentials_of(scope: Scope) -> Credentials:
    """Return what a request brings. Anthropic's clients send the key as ``x-api-key``."""
    headers = Headers(scope=scope)
    anthropic = headers.get("x-api-key")
    header = headers.get("authorization") or (f"Bearer {anthropic}" if anthropic else None)
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        cookies.clear()
    session, page = cookies.get(SESSION_COOKIE), cookies.get(PAGE_COOKIE)
    client = scope.get("client")
    return Credentials(
        header,
        session.value if session else None,
        page.value if page else None,
        client[0] if client else "",
        scope.get(LINK),
    )
