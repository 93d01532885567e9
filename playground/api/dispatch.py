"""Requests of a batch, handed to the endpoints as if they had come by HTTP, one call each."""

import asyncio
import json
import logging

from starlette.types import ASGIApp, Message, Scope

from playground.api.request_log import REQUEST_ID
from playground.lab.batch_lines import BatchReply
from playground.protocol.json_types import JsonObject, parse_object

log = logging.getLogger(__name__)


class Dispatcher:
    """Calls an ASGI application in this process: its answers, errors and ids are the API's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, endpoint: str, body: JsonObject) -> BatchReply:
        """Return the answer to a POST; a stream is refused."""
        if body.get("stream"):
            message = "stream: a batch has whole answers; leave it out"
            error: JsonObject = {
                "message": message, "type": "invalid_request_error", "param": "stream",
                "code": "unsupported_parameter",
            }  # fmt: skip
            return BatchReply(400, "", {"error": error})
        exchange = _Exchange(json.dumps(body, ensure_ascii=False).encode())
        try:
            await self._app(_scope(endpoint), exchange.receive, exchange.send)
        except Exception:
            log.debug("a request of a batch failed", exc_info=True)
        return exchange.reply()


class _Exchange:
    """One request and its reply."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data
        self._status = 500
        self._request_id = ""
        self._body = bytearray()

    async def receive(self) -> Message:
        """The body, then nothing: nobody hangs up."""
        if self._data is None:
            await asyncio.Event().wait()
        data, self._data = self._data, None
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(self, message: Message) -> None:
        """Collect the reply."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = dict(message["headers"])
            self._request_id = headers.get(REQUEST_ID.encode(), b"").decode("latin-1")
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def reply(self) -> BatchReply:
        """The reply as it was sent."""
        body = parse_object(bytes(self._body)) if self._body else {}
        return BatchReply(self._status, self._request_id, body)


def _scope(path: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": None,
        "server": ("batch", 80),
    }
