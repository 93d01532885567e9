"""How the page's files reach a browser: compressed, and kept by it where a name has a hash in it.

Gradio compresses the files whose path has an ending, the page's HTML and its JSON not, says nothing
of how long its files may be kept, and gives the page itself no ETag. ASGI middleware; knows nothing
of what the files are. Event streams pass as they are, unbuffered.
"""

import re
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HASHED = re.compile(r"/assets/[^/]+-[A-Za-z0-9_-]{8}\.[a-z0-9]+")
"""Files of Gradio's build: a new content has a new name."""
VERSIONED = re.compile(r"(^|&)v=[0-9a-f]{16,}(&|$)")
"""Query of what Gradio names by the hash of its content, such as theme.css."""
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
COMPRESS_LEVEL = 6
MIN_BYTES = 500
NOT_MODIFIED = 304
PAGE = "/"
OF_ONE_PERSON = "private, no-cache"
FILES = ("/assets/", "/static/", "/theme.css", "/favicon", "/svelte/")


class Delivery:
    """Compresses answers, and lets browsers keep files: those with a hash in their name for ever,
    others as long as their ETag is the same.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = GZipMiddleware(
            Caching(app), minimum_size=MIN_BYTES, compresslevel=COMPRESS_LEVEL
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        await self._app(scope, receive, send)


class Caching:
    """ASGI middleware: ``Cache-Control`` for the page's files, and 304 for a known ETag."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] == PAGE and scope["method"] == "GET":
            await self._send_page(scope, receive, send)
            return
        if scope["type"] != "http" or not scope["path"].startswith(FILES):
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        query = scope["query_string"].decode("latin-1")
        is_immutable = HASHED.fullmatch(scope["path"]) or VERSIONED.search(query)
        is_answered = False

        async def cached(message: Message) -> None:
            nonlocal is_answered
            if is_answered:  # the body of what the browser has already
                return
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(scope=message)
                headers["cache-control"] = IMMUTABLE if is_immutable else REVALIDATE
                if names_etag(known, headers.get("etag", "")):
                    is_answered = True
                    del headers["content-length"]
                    del headers["content-encoding"]
                    await send({**message, "status": NOT_MODIFIED, "headers": headers.raw})
                    await send({"type": "http.response.body", "body": b""})
                    return
            await send(message)

        await self._app(scope, receive, cached)

    async def _send_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page is the same until a server is started anew or its people change: by its hash."""
        known = Headers(scope=scope).get("if-none-match", "")
        start: Message = {}
        body = bytearray()

        async def hashed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            if start["status"] == 200:
                headers = MutableHeaders(scope=start)
                headers["cache-control"] = OF_ONE_PERSON
                headers["etag"] = f'"{sha256(body).hexdigest()[:32]}"'
                if names_etag(known, headers["etag"]):
                    del headers["content-length"]
                    body.clear()
                    start["status"] = NOT_MODIFIED
            await send(start)
            await send({"type": "http.response.body", "body": bytes(body)})

        await self._app(scope, receive, hashed)


def names_etag(known: str, etag: str) -> bool:
    """Say whether an If-None-Match has this ETag among its own; compression makes them weak."""
    tags = (tag.strip().removeprefix("W/") for tag in known.split(","))
    return bool(etag) and (known.strip() == "*" or etag.removeprefix("W/") in tags)
