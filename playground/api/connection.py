"""One HTTP connection: whether the model is there, the body, and the disconnect."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from playground.api.errors import Refused
from playground.errors import ModelLoading
from playground.protocol import Backend
from playground.protocol.json_types import JsonObject

T = TypeVar("T")


def loading_check(backend: Backend) -> Callable[[], Awaitable[None]]:
    """Return a dependency that lets requests pass once the model is loaded; raises `ModelLoading`
    before."""

    async def check() -> None:
        if backend.loading:
            raise ModelLoading((await backend.models())[0].name)

    return check


async def read_object(http: Request) -> JsonObject:
    """The request's body, which must be one JSON object in UTF-8.

    Raises `Refused` for anything else, NaN, lone surrogates and bottomless nesting included.
    """
    content_type = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":  # also keeps other sites' forms out: no preflight
        raise Refused(415, "unsupported_media_type", "send 'Content-Type: application/json'")
    encoding = http.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        problem = f"Content-Encoding {encoding} is not supported; send the body as it is"
        raise Refused(415, "unsupported_media_type", problem)
    data = await http.body()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            400, "invalid_utf8", f"the body is not UTF-8: byte {error.start} begins no character"
        ) from error
    try:
        body = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(400, "invalid_json", f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused(400, "invalid_json", "the body must be a JSON object")
    return body


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``, and cancel it when the client disconnects.

    Raises `ClientDisconnect` then. Call it once the request's body has been read.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
