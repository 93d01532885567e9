"""An id for every request, and what the log says of it.

ASGI middleware around page and API alike. ``x-request-id`` is the client's own, if it is short and
plain, or a new one; whatever is logged meanwhile carries it (`playground.logs`). Knows no endpoint.
"""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.api.errors import translate
from playground.logs import REQUESTS, fields, within_request

REQUEST_ID = "x-request-id"
SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
REQUEST = "playground.request"
"""Key of the scope under which the page's events find the id of the request that sent them."""

log = logging.getLogger(__name__)
requests = logging.getLogger(REQUESTS)


class RequestLog:
    """Passes requests on under their id, and logs each: its path without the query, which may hold
    a token, its status, and how long it took.

    What the application did not catch is logged with its traceback, and answered with 500 if
    nothing was sent yet.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if SANE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        began, status, complete = time.perf_counter(), 0, False

        async def identified(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            await send(message)

        method, path = scope["method"], scope["path"]
        with within_request(request_id):
            try:
                await self._app({**scope, REQUEST: request_id}, receive, identified)
            except Exception as error:
                log.exception("request failed: %s %s", method, path)
                if not status:
                    await translate(error).response()(scope, receive, identified)
                elif not complete:
                    raise  # the server ends the connection, so that the client sees it
            finally:
                client = scope.get("client")
                requests.info(
                    "%s %s %d", method, path, status,
                    extra=fields(
                        method=method, path=path, status=status,
                        duration_ms=round((time.perf_counter() - began) * 1000, 1),
                        client=client[0] if client else "",
                    ),
                )  # fmt: skip
