"""`ReplicatedBackend`: several servers of the same models under one alias.

A new conversation goes to the server with the least work. What follows goes where its beginning was
answered, as that server's prefix cache holds it, unless it has far more to do than the others. A
server that fails before the first piece of an answer is left aside for a while, and the next one is
asked; after the first piece nothing is asked again. Knows no HTTP.
"""

import asyncio
import hashlib
import random
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from playground.backends.openai_compatible.backend import RemoteBackend
from playground.errors import (
    BackendBusy,
    BackendUnavailable,
    EngineStopped,
    PlaygroundError,
    UnknownModel,
)
from playground.protocol import ModelInfo, Request, StreamEvent

ASIDE_S, BUSY_S = 15.0, 1.0
"""How long a server is left aside that is not reached, or takes no more requests."""
MOST_CONVERSATIONS: Final = 20_000
"""Conversations of which it is known who answers them; the oldest are forgotten beyond."""
LOAD_FACTOR: Final = 1.25
"""How far above the mean work a server may be and still keep its conversations (Mirrokni, Thorup
and Zadimoghaddam, Consistent Hashing with Bounded Loads, SODA 2018)."""
SLACK_TOKENS: Final = 2048
"""That much work a server may have beyond it: a conversation or two are no load."""
CHARACTERS_A_TOKEN: Final = 4
ANSWER_TOKENS: Final = 256
"""What an answer without a limit is taken for."""
FIRST_WAIT_S: Final = 0.5
Answered = TypeVar("Answered")
FAILOVER = (BackendUnavailable, BackendBusy, EngineStopped, UnknownModel)


@dataclass(eq=False, slots=True)
class Replica:
    """One server. ``weight`` is its share of the work; with 0 it gets none. ``work`` are the
    estimated tokens of the requests that run there, ``turn`` is when it is next to be asked among
    servers that have equally much to do."""

    backend: RemoteBackend
    weight: float = 1.0
    work: int = 0
    requests: int = 0
    turn: float = 0.0
    aside_until: float = 0.0

    @property
    def load(self) -> float:
        """Work in relation to the weight."""
        return self.work / self.weight if self.weight else float("inf")


class ReplicatedBackend:
    """A `Backend` and `AdapterHost` over ``replicas``, whose alias is the same.

    After all of them failed, all are asked again, ``retries`` times, each time after a longer
    random wait.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        retries: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.replicas = tuple(replicas)
        self._retries = retries
        self._clock = clock
        self._lock = threading.Lock()
        self._homes: OrderedDict[bytes, Replica] = OrderedDict()
        self._turn = 0.0

    @property
    def alias(self) -> str:
        """What the models' names begin with."""
        return self.replicas[0].backend.alias

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        return any(each.backend.running for each in self.replicas)

    @property
    def loading(self) -> bool:
        """Never."""
        return False

    def start(self) -> None:
        """Ask each server now and again what it serves."""
        for each in self.replicas:
            each.backend.start()

    def close(self) -> None:
        """End running streams and close the connections."""
        for each in self.replicas:
            each.backend.close()

    async def refresh(self) -> None:
        """Ask each server what it serves now. Raises `BackendUnavailable` if none answers."""
        asked = [each.backend.refresh() for each in self.replicas]
        results = await asyncio.gather(*asked, return_exceptions=True)
        failed = [error for error in results if isinstance(error, BaseException)]
        other = next((error for error in failed if not isinstance(error, PlaygroundError)), None)
        if other or len(failed) == len(self.replicas):
            raise other or failed[0]

    async def models(self) -> Sequence[ModelInfo]:
        """The models of all servers, described by one that was reached."""
        found: dict[str, ModelInfo] = {}
        for each in sorted(self.replicas, key=lambda each: not each.backend.reached):
            for info in await each.backend.models():
                found.setdefault(info.name, info)
        return tuple(found.values())

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the prompt, counted by one of the servers. Raises `InvalidRequest`."""
        return await self._by_one(request, lambda backend: backend.count_tokens(request))

    async def prompt_ids(self, request: Request) -> list[int]:
        """Token ids of the prompt, as one of the servers tells them; see `PromptTokenizer`."""
        return await self._by_one(request, lambda backend: backend.prompt_ids(request))

    async def prefix_id(self, model: str) -> int | None:
        """The token before a text, as one of the servers tells it; see `PromptTokenizer`."""
        request = Request(model, prompt="a")
        return await self._by_one(request, lambda backend: backend.prefix_id(model))

    async def _by_one(
        self, request: Request, ask: Callable[[RemoteBackend], Awaitable[Answered]]
    ) -> Answered:
        failed: list[PlaygroundError] = []
        for each in self._order(request):
            try:
                return await ask(each.backend)
            except FAILOVER as error:
                self._put_aside(each, error)
                failed.append(error)
        raise _worst(failed)

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Answer piece by piece; see `Backend`. Raises what the last server raised."""
        failed: list[PlaygroundError] = []
        for round_ in range(self._retries + 1):
            if round_:
                await asyncio.sleep(random.uniform(0.0, FIRST_WAIT_S * 2**round_))
            for each in self._order(request):
                begun = False
                try:
                    with self._working(each, request):
                        async with aclosing(each.backend.stream(request)) as events:
                            async for event in events:
                                begun = True
                                yield event
                    return
                except FAILOVER as error:
                    if begun or not self.running:
                        raise
                    self._put_aside(each, error)
                    failed.append(error)
            if all(isinstance(error, UnknownModel) for error in failed):
                break
        raise _worst(failed)

    def cancel(self, request_id: str) -> None:
        """End a request, wherever it runs."""
        for each in self.replicas:
            each.backend.cancel(request_id)

    def load_adapter(
        self, folder: Path, name: str | None = None, *, listed: bool = True
    ) -> ModelInfo:
        """Have every server load the adapter, or none: ``folder`` is a path that all have."""
        done: list[Replica] = []
        try:
            for each in self.replicas:
                info = each.backend.load_adapter(folder, name, listed=listed)
                done.append(each)
        except PlaygroundError:
            bare = (name or folder.name).removeprefix(f"{self.alias}/")
            for each in done:
                with suppress(PlaygroundError):
                    each.backend.unload_adapter(f"{self.alias}/{bare}")
            raise
        return info

    def unload_adapter(self, name: str) -> None:
        """Have every server forget the adapter. Raises `UnknownModel` if none knows it."""
        failed: list[PlaygroundError] = []
        for each in self.replicas:
            try:
                each.backend.unload_adapter(name)
            except UnknownModel as error:
                failed.append(error)
        if len(failed) == len(self.replicas):
            raise failed[0]

    def uses_of(self, content_hash: str) -> int:  # noqa: ARG002 - as `AdapterHost` has it
        """Return 0: other servers do not name versions of adapters."""
        return 0

    def _order(self, request: Request) -> list[Replica]:
        """The servers as they are to be asked; those aside come last."""
        with self._lock:
            now = self._clock()
            able = [each for each in self.replicas if each.weight]
            able.sort(key=lambda each: (each.aside_until > now, each.load, each.turn))
            ready = [each for each in able if each.aside_until <= now]
            home = self._homes.get(_beginning(request))
            if home in ready and home.load <= self._highest_load(ready):
                able.remove(home)
                able.insert(0, home)
            return able

    def _highest_load(self, ready: Sequence[Replica]) -> float:
        """The load up to which a server keeps its conversations."""
        weights = sum(each.weight for each in ready)
        return LOAD_FACTOR * sum(each.work for each in ready) / weights + SLACK_TOKENS

    @contextmanager
    def _working(self, replica: Replica, request: Request) -> Iterator[None]:
        """Inside, the server works at the request, and is where its conversation lives."""
        tokens, beginning = _estimated_tokens(request), _beginning(request)
        with self._lock:
            replica.work += tokens
            replica.requests += 1
            self._turn = max(self._turn, replica.turn)  # who was aside catches up with nobody
            replica.turn = self._turn + 1 / replica.weight
            self._homes[beginning] = replica
            self._homes.move_to_end(beginning)
            while len(self._homes) > MOST_CONVERSATIONS:
                self._homes.popitem(last=False)
        try:
            yield
        finally:
            with self._lock:
                replica.work -= tokens
                replica.requests -= 1

    def _put_aside(self, replica: Replica, error: PlaygroundError) -> None:
        pause = BUSY_S if isinstance(error, BackendBusy) else ASIDE_S
        if not isinstance(error, UnknownModel):
            with self._lock:
                replica.aside_until = self._clock() + pause


def _beginning(request: Request) -> bytes:
    """What all requests of one conversation share: the model and all up to its first answer."""
    digest = hashlib.blake2b(request.model.encode(), digest_size=16)
    if request.prompt is not None:
        digest.update(repr(request.prompt).encode("utf-8", "replace"))
    for message in request.messages:
        if message.role == "assistant":
            break
        digest.update(f"\0{message.role}\0{message.content}".encode("utf-8", "replace"))
    return digest.digest()


def _estimated_tokens(request: Request) -> int:
    """Tokens of prompt and answer, by the texts' lengths."""
    prompt = request.prompt
    written = sum(len(message.content) for message in request.messages)
    if isinstance(prompt, str):
        written += len(prompt)
    ids = len(prompt) if isinstance(prompt, tuple) else 0
    answer = request.sampling.max_tokens
    limit = ANSWER_TOKENS if answer is None else min(answer, ANSWER_TOKENS)
    return written // CHARACTERS_A_TOKEN + ids + limit


def _worst(failed: Sequence[PlaygroundError]) -> PlaygroundError:
    """The last error that says more than that a server does not know the model."""
    told = [error for error in failed if not isinstance(error, UnknownModel)]
    return (told or list(failed))[-1]
