"""The Content-Security-Policy of everything that is served beside the API.

What a model wrote may end up on the page: so nothing on it may load from, or send to, another
host, whatever it is. ASGI middleware; knows nothing of what the page does.
"""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DIRECTIVES: Final = (
    "default-src 'self'",
    # Gradio's page starts with inline scripts, and compiles those of its events.
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' blob:",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
)


def policy(frames: Sequence[str] = ()) -> str:
    """Return the policy of a page that pages of these origins may show in a frame, too."""
    return "; ".join((*_DIRECTIVES, " ".join(("frame-ancestors 'self'", *frames))))


POLICY: Final = policy()


class PagePolicy:
    """Adds the policy to every response that has none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", POLICY)
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("referrer-policy", "same-origin")
            await send(message)

        await self._app(scope, receive, with_policy)
