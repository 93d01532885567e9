"""Which pages are open, without a connection that each of them holds.

Gradio (6.31) learns that a page is closed from a response that never ends. A browser has six
connections to a server that does not speak HTTP/2, for all of its tabs: with six pages open the
requests of all of them waited for ever. Here a page tells every half minute that it is there, and
once that it is left; towards Gradio, `Presence` is the client that holds the connection. Clients
other than the page hold theirs as before. Knows no component and no event.
"""

import asyncio
import re
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOLD_EVERY_S: Final = 30
SILENT_S: Final = 180.0
"""A page that tells nothing for so long is gone: browsers let a hidden one run once a minute."""
MOST_PAGES: Final = 2_000
"""Known at a time: those who only say that they are there must not fill the memory."""
HERE: Final = "here"
"""The parameter of a page's request: 1, or 0 as it is left."""
HEARTBEAT: Final = re.compile(r"/gradio_api/heartbeat/(?P<session>[^/]+)")


class Presence:
    """A client that keeps one request open until the page is left, or silent for ``silent_s``."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._left = asyncio.Event()
        self._body: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
        self.seen()

    def seen(self) -> None:
        """Note that the page is there."""
        self._until = time.monotonic() + self._silent_s

    def leave(self) -> None:
        """Let the request end."""
        self._left.set()

    async def receive(self) -> Message:
        """Return the request's empty body; then, once the page is gone, that the client is."""
        if self._body:
            return self._body.pop()
        while not self._left.is_set() and (rest := self._until - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), rest)
        return {"type": "http.disconnect"}


class Pages:
    """ASGI middleware: answers a page's word at once, and keeps Gradio's request open for it."""

    def __init__(self, app: ASGIApp, silent_s: float = SILENT_S) -> None:
        self._app = app
        self._silent_s = silent_s
        self._present: OrderedDict[str, Presence] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        asked = HEARTBEAT.fullmatch(scope["path"]) if scope["type"] == "http" else None
        here = parse_qs(scope.get("query_string", b"").decode()).get(HERE) if asked else None
        if asked is None or here is None:
            await self._app(scope, receive, send)
            return
        session = asked["session"]
        if here == ["0"]:
            if left := self._present.pop(session, None):
                left.leave()
        elif present := self._present.get(session):
            present.seen()
            self._present.move_to_end(session)
        else:
            self._open(session, scope)
        await Response(status_code=204)(scope, receive, send)

    def _open(self, session: str, scope: Scope) -> None:
        if len(self._present) == MOST_PAGES:
            self._present.popitem(last=False)[1].leave()
        present = self._present[session] = Presence(self._silent_s)
        # Of this version of the protocol, a response ends when its client is gone.
        held = {**scope, "query_string": b"", "asgi": {"version": "3.0", "spec_version": "2.3"}}
        task = asyncio.create_task(self._hold(session, present, held))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _hold(self, session: str, present: Presence, scope: Scope) -> None:
        try:
            await self._app(scope, present.receive, _unheard)
        finally:
            if self._present.get(session) is present:
                del self._present[session]


async def _unheard(_message: Message) -> None:
    """The beats of Gradio's response."""
