"""Server-sent events: a backend's stream as an HTTP response, cancelled on disconnect."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from playground.api.connection import cancel_on_disconnect
from playground.api.errors import translate
from playground.errors import PlaygroundError

log = logging.getLogger(__name__)

T = TypeVar("T")
Chunk = dict[str, object]
DONE = "data: [DONE]\n\n"


class EventStream(StreamingResponse):
    """Sends ``frames``; closes them, then their ``source``, when they end or the client leaves."""

    def __init__(self, frames: AsyncGenerator[str, None], source: AsyncGenerator[Any, None]):
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(frames, media_type="text/event-stream", headers=headers)
        self._frames = frames
        self._source = source

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end or until nobody listens."""
        async with AsyncExitStack() as closing:
            await closing.enter_async_context(aclosing(self._source))
            await closing.enter_async_context(aclosing(self._frames))
            try:
                await cancel_on_disconnect(receive, self.stream_response(send))
            except (ClientDisconnect, OSError):
                log.debug("a client left in the middle of its stream")


async def stream_events(
    http: Request,
    events: AsyncGenerator[T, None],
    project: Callable[[AsyncIterator[T]], AsyncGenerator[Chunk, None]],
    *,
    named: bool = False,
) -> EventStream:
    """A response that sends what ``project`` makes of ``events``; with ``named`` each under its
    ``type`` as the event's name, and no ``[DONE]`` behind the last.

    Waits for the first event, so that a request refused by the backend raises here and gets its
    HTTP status; an error after that is sent as the last event.
    """
    try:
        first = await cancel_on_disconnect(http.receive, _first(events))
    except BaseException:
        await events.aclose()
        raise
    frames = _frames(project(_resume(first, events)), named=named)
    return EventStream(frames, source=events)


async def _first(events: AsyncGenerator[T, None]) -> T:
    return await anext(events)


async def _resume(first: T, rest: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    yield first
    async for event in rest:
        yield event


async def _frames(chunks: AsyncGenerator[Chunk, None], *, named: bool) -> AsyncGenerator[str, None]:
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield f"event: {chunk['type']}\n{_frame(chunk)}" if named else _frame(chunk)
        if not named:
            yield DONE
    except PlaygroundError as error:
        yield _frame(translate(error).body())
    except Exception as error:  # the outermost edge: the status line has been sent already
        log.exception("a stream failed")
        yield _frame(translate(error).body())


def _frame(chunk: Chunk) -> str:
    text = json.dumps(chunk, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"data: {text}\n\n"
