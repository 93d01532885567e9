"""Where the playground is on its host: under the path that a proxy serves it at, or under a link.

ASGI middleware around everything else, which sees plain paths whether the proxy passes its path on
or not. What begins with ``/d/TOKEN/`` comes by that link: the rest of the path is the page's or the
API's, and the gate finds the token in the scope. Knows no endpoint and no link.
"""

import re
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

ROOT, LINK, BASE = "playground.root", "playground.link", "playground.base"
"""Keys of the scope: the path of this server on its host, the token of a link, and the address of
both once `PageRoot` has looked at the headers."""
LINKS: Final = "/d"
LINK_PATH: Final = re.compile(LINKS + r"/(?P<token>[^/]+)(?P<path>/.*)?", re.DOTALL)
HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class Root:
    """Passes requests on with their path beneath the root and the link that they came by."""

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app = app
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, token = self._beneath(scope["path"]), None
        if link := LINK_PATH.fullmatch(path):
            path, token = link["path"] or "", link["token"]
        if not path:  # addresses in the page are relative to the slash at its end
            query = scope["query_string"].decode("latin-1")
            address = _with_link(self._root, token) + "/" + (query and f"?{query}")
            await RedirectResponse(address, 308)(scope, receive, send)
            return
        found = {**scope, "path": path, ROOT: self._root}
        await self._app(found if token is None else {**found, LINK: token}, receive, send)

    def _beneath(self, path: str) -> str:
        if path == self._root or path.startswith(f"{self._root}/"):
            return path[len(self._root) :]
        return path


def cookie_path(scope: Scope) -> str:
    """Return the path of cookies: another playground of the same host does not get them."""
    return str(scope.get(ROOT, "")) or "/"


def base_url(scope: Scope) -> str:
    """Return the address of this server as a browser knows it, with the link if it came by one,
    without a slash at its end."""
    if known := scope.get(BASE):
        return str(known)
    headers = Headers(scope=scope)
    forwarded = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    named = next(
        (name for name in (forwarded, headers.get("host", "")) if HOST.fullmatch(name)), ""
    )
    path = _with_link(str(scope.get(ROOT, "")), scope.get(LINK))
    return f"{scope.get('scheme', 'http')}://{named or _host_of(scope)}{path}"


class PageRoot:
    """ASGI middleware: tells Gradio (6.31) the address that the page is reached at, by a header of
    its own, for each request. What a client says of that does not count."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = (b"x-gradio-server", b"x-forwarded-host", b"x-forwarded-proto")
        headers = [each for each in scope["headers"] if each[0] not in told]
        address = base_url(scope)
        headers.append((told[0], address.encode("latin-1", "replace")))
        await self._app({**scope, "headers": headers, BASE: address}, receive, send)


def _with_link(root: str, token: object) -> str:
    return root if token is None else f"{root}{LINKS}/{quote(str(token), safe='')}"


def _host_of(scope: Scope) -> str:
    server = scope.get("server") or ("127.0.0.1", None)
    return f"{server[0]}:{server[1]}" if server[1] else str(server[0])
