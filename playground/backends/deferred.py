"""`DeferredBackend`: stands for a backend whose model is still loading, and passes on to it later.

So that page and API answer while the model loads. Knows no loader and imports no torch.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from pathlib import Path
from typing import Protocol

from playground.errors import EngineStopped, ModelLoading
from playground.protocol import (
    AdapterBackend,
    Finished,
    ModelInfo,
    PromptTokenizer,
    Request,
    StreamEvent,
    Timings,
    TokenizerHost,
    Usage,
)

POLL_S = 0.05
SHUTTING_DOWN = "the server is shutting down"


class ClosableBackend(AdapterBackend, TokenizerHost, PromptTokenizer, Protocol):
    """A backend that ends with the server."""

    def close(self) -> None:
        """End running streams."""
        ...


class Turn(Protocol):
    """A request whose turn it is; ``usage`` is what its answer took."""

    request: Request
    usage: Usage | None


TakeTurn = Callable[[Request], AbstractAsyncContextManager[Turn]]
"""Waits until a request may be answered; it is answered inside."""


class DeferredBackend:
    """A `Backend`, `AdapterHost` and `TokenizerHost` that is ``loading`` until `open`.

    ``expected`` is listed until then. A stream that is asked for meanwhile waits; everything else
    raises `ModelLoading`. ``take_turn`` decides when a request is passed on. May be used from any
    thread.
    """

    def __init__(self, expected: ModelInfo, take_turn: TakeTurn | None = None) -> None:
        self._take_turn = take_turn
        self._expected = expected
        self._backend: ClosableBackend | None = None
        self._waiting: set[str] = set()
        self._opened = self._closed = self._draining = False
        self._live = 0
        self._lock = threading.Lock()

    def attach(self, backend: ClosableBackend) -> None:
        """Take the backend: its adapters can be loaded from now on. It is closed with this one."""
        with self._lock:
            self._backend = backend
            closed = self._closed
        if closed:
            backend.close()

    def open(self) -> None:
        """Let requests through."""
        self._opened = True

    def drain(self) -> None:
        """Take no new requests: from now on they raise `EngineStopped`. Running streams go on."""
        self._draining = True

    @property
    def live(self) -> int:
        """Streams that are running, or wait for the model or their turn."""
        return self._live

    def close(self) -> None:
        """End running streams; those that wait raise `EngineStopped`."""
        with self._lock:
            self._closed = True
            backend = self._backend
        if backend:
            backend.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def loading(self) -> bool:
        """Whether the model is not there yet."""
        return not self._opened and not self._closed

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        return self._opened and not self._draining and self._attached.running

    async def models(self) -> Sequence[ModelInfo]:
        """The models of the backend; before it is open, the expected one."""
        return await self._attached.models() if self._opened else (self._expected,)

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt. Raises `ModelLoading`."""
        if not self._opened:
            raise ModelLoading(self._expected.name)
        return await self._attached.count_tokens(request)

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Wait for the model, then answer piece by piece. Raises `EngineStopped` at the end."""
        if self._draining:
            raise EngineStopped(SHUTTING_DOWN)
        with self._counted():
            async with aclosing(self._stream(request)) as events:
                async for event in events:
                    yield event

    async def _stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        if not self._opened:
            asked = time.monotonic()
            await self._wait(request.id)
            if not self._opened:
                waited = time.monotonic() - asked
                yield Finished("cancelled", Usage(0, 0), Timings(waited, waited, waited))
                return
        if self._take_turn is None:
            async with aclosing(self._attached.stream(request)) as events:
                async for event in events:
                    yield event
            return
        async with (
            self._take_turn(request) as turn,
            aclosing(self._attached.stream(turn.request)) as events,
        ):
            async for event in events:
                if isinstance(event, Finished):
                    turn.usage = event.usage
                yield event

    def cancel(self, request_id: str) -> None:
        """End a request with finish reason ``cancelled``, one that waits for the model too."""
        self._waiting.discard(request_id)
        if self._backend:
            self._backend.cancel(request_id)

    def load_adapter(
        self, folder: Path, name: str | None = None, *, listed: bool = True
    ) -> ModelInfo:
        """Serve the adapter in ``folder``; see `AdapterHost`. Raises `ModelLoading`."""
        return self._attached.load_adapter(folder, name, listed=listed)

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; see `AdapterHost`. Raises `ModelLoading`."""
        self._attached.unload_adapter(name)

    def uses_of(self, content_hash: str) -> int:
        """Requests running with this version of an adapter, or waiting; see `AdapterHost`."""
        return self._backend.uses_of(content_hash) if self._backend else 0

    async def tokenize(self, request: Request) -> list[int]:
        """Token ids of the request's prompt; see `TokenizerHost`. Raises `ModelLoading`."""
        return await self._attached.tokenize(request)

    async def prompt_ids(self, request: Request) -> list[int]:
        """Token ids of the request's prompt; see `PromptTokenizer`. Raises `ModelLoading`."""
        return await self._attached.prompt_ids(request)

    async def prefix_id(self, model: str) -> int | None:
        """The token before a text; see `PromptTokenizer`. Raises `ModelLoading`."""
        return await self._attached.prefix_id(model)

    async def tokenize_answer(self, request: Request, text: str) -> list[int]:
        """Token ids of a whole answer; see `TokenizerHost`. Raises `ModelLoading`."""
        return await self._attached.tokenize_answer(request, text)

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of text alone; see `TokenizerHost`. Raises `ModelLoading`."""
        return self._attached.encode_plain(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids; see `TokenizerHost`. Raises `ModelLoading`."""
        return self._attached.decode(token_ids)

    @property
    def _attached(self) -> ClosableBackend:
        if self._backend is None:
            raise ModelLoading(self._expected.name)
        return self._backend

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._live += 1
        try:
            yield
        finally:
            with self._lock:
                self._live -= 1

    async def _wait(self, request_id: str) -> None:
        """Return once the backend is open or the request is cancelled."""
        self._waiting.add(request_id)
        try:
            while not self._opened and request_id in self._waiting:
                if self._closed:
                    raise EngineStopped(SHUTTING_DOWN)
                await asyncio.sleep(POLL_S)
        finally:
            self._waiting.discard(request_id)
