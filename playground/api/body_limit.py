"""Rejects request bodies over a size limit before anything of them is kept.

Knows nothing of what a body means. Counts what arrives, so that a body sent in chunks without a
Content-Length is held to the same limit.
"""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.api.errors import Refused

MIB = 2**20
UPLOADS = re.compile(r".*/v1/(files(/[\w-]+/bytes)?|uploads/\w+/parts|conversations/import)")
# A client still sending would not read our answer: this much more is read and thrown away.
DRAIN_BYTES = 64 * MIB


class BodyLimit:
    """ASGI middleware: reading a body of more than ``max_mib`` raises `Refused` with status 413;
    uploads of files may have ``max_upload_mib``.
    """

    def __init__(self, app: ASGIApp, max_mib: float, max_upload_mib: float) -> None:
        self._app = app
        self._max_mib = max_mib
        self._max_upload_mib = max_upload_mib

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body as it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0
        uploads = UPLOADS.fullmatch(scope["path"]) is not None
        most = self._max_upload_mib if uploads else self._max_mib

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most * MIB:
                await _drain(receive, message)
                raise Refused(
                    413,
                    "request_too_large",
                    f"the request's body is over {most:g} MiB, the most taken here",
                )
            return message

        await self._app(scope, counted, send)


async def _drain(receive: Receive, message: Message) -> None:
    drained = 0
    while message.get("more_body") and drained < DRAIN_BYTES:
        message = await receive()
        drained += len(message.get("body", b""))
