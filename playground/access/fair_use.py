"""Fair use: how much one client may ask for, and whose turn it is. Knows no HTTP and no model.

A client is an API key, an account, or the address of a visitor. Whoever uses a server that asks
nobody, and the server's own jobs, are not limited.
"""

import asyncio
import json
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from playground.access.identity import Identity, current_identity
from playground.errors import InvalidRequest, LimitReached
from playground.protocol import Request, Usage
from playground.settings import LimitSettings

KIB = 1024


@dataclass(slots=True)
class Turn:
    """A request whose turn it is, as it is passed on; ``usage`` is what its answer took."""

    request: Request
    usage: Usage | None = None


@dataclass(slots=True, eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    granted: asyncio.Event = field(default_factory=asyncio.Event)


class FairUse:
    """Counts what clients use, and lets them take turns. May be used from any thread's event loop.

    ``slots`` is how many requests are answered at once. One client has half of them at most, so
    that another one's request begins at once however many the first one sent; those that wait are
    taken client by client, in turn. ``has_budgets``: a day's tokens of accounts and keys are
    counted by `Budgets`, from what is kept; here those of everybody else.
    """

    def __init__(self, settings: LimitSettings, slots: int, *, has_budgets: bool = False) -> None:
        self._settings = settings
        self._has_budgets = has_budgets
        self._slots = slots
        self._most = min(settings.concurrent_answers or slots, max(1, slots // 2))
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[Turn]:
        """Wait for the turn of whoever asks; inside, their request is answered.

        Raises `InvalidRequest` for a request over a limit of its size, and `LimitReached` for a
        client that has had its share.
        """
        identity = current_identity()
        if identity.via == "local":
            yield Turn(request)
            return
        allowed = self._within_caps(request)
        self._spend_request(identity)
        await self._wait(identity.client)
        turn = Turn(replace(allowed, client=identity.client))
        try:
            yield turn
        finally:
            self._release(identity.client)
            if turn.usage:
                self._spend_tokens(identity, turn.usage.total_tokens)

    def headers(self, identity: Identity) -> Mapping[str, str]:
        """Return what is left to a client, as OpenAI's API says it."""
        found: dict[str, str] = {}
        if identity.via == "local":
            return found
        for item, word in (*self._requests(), *self._tokens(identity)):
            if item.GRANULARITY.name == "day":
                continue
            stats = self._limiter.get_window_stats(item, word, identity.client)
            found[f"x-ratelimit-limit-{word}"] = str(item.amount)
            found[f"x-ratelimit-remaining-{word}"] = str(max(0, stats.remaining))
            found[f"x-ratelimit-reset-{word}"] = f"{max(0.0, stats.reset_time - time.time()):.0f}s"
        return found

    def waiting(self) -> int:
        """Return how many requests wait for their turn."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def _within_caps(self, request: Request) -> Request:
        limits = self._settings
        if len(request.tools) > limits.max_tools:
            raise InvalidRequest("tools", f"{len(request.tools)} tools; {limits.max_tools} at most")
        schemas = [tool.parameters for tool in request.tools]
        if request.response_format:
            schemas.append(dict(request.response_format.schema))
        if len(json.dumps(schemas)) > limits.max_schema_kib * KIB:
            problem = f"schemas of more than {limits.max_schema_kib:g} KiB are not taken here"
            raise InvalidRequest("tools" if request.tools else "response_format", problem)
        most, asked = limits.max_answer_tokens, request.sampling.max_tokens
        if most is None:
            return request
        if asked is not None and asked > most:
            raise InvalidRequest("max_tokens", f"{asked} is more than {most}, the most taken here")
        sampling = replace(request.sampling, max_tokens=most if asked is None else asked)
        return replace(request, sampling=sampling)

    def _requests(self) -> list[tuple[RateLimitItem, str]]:
        most = self._settings.requests_per_minute
        return [(RateLimitItemPerMinute(most), "requests")] if most else []

    def _tokens(self, identity: Identity) -> list[tuple[RateLimitItem, str]]:
        minute, day = self._settings.tokens_per_minute, self._settings.tokens_per_day
        if self._has_budgets and identity.owner and identity.signed_in:
            day = None
        found: list[tuple[RateLimitItem, str]] = []
        if minute:
            found.append((RateLimitItemPerMinute(minute), "tokens"))
        if day:
            found.append((RateLimitItemPerDay(day), "tokens"))
        return found

    def _spend_request(self, identity: Identity) -> None:
        client = identity.client
        for item, word in self._tokens(identity):
            if not self._limiter.test(item, word, client):
                raise self._reached(item, word, client)
        for item, word in self._requests():
            if not self._limiter.hit(item, word, client):
                raise self._reached(item, word, client)

    def _spend_tokens(self, identity: Identity, tokens: int) -> None:
        for item, word in self._tokens(identity):
            self._limiter.hit(item, word, identity.client, cost=max(1, tokens))

    def _reached(self, item: RateLimitItem, word: str, client: str) -> LimitReached:
        wait = self._limiter.get_window_stats(item, word, client).reset_time - time.time()
        period = item.GRANULARITY.name
        problem = f"the limit of {item.amount} {word} a {period} is reached"
        return LimitReached(f"{problem}; try again in {max(1.0, wait):.0f} s", max(1.0, wait))

    async def _wait(self, client: str) -> None:
        waiter = _Waiter(asyncio.get_running_loop())
        with self._lock:
            if self._may_run(client) and client not in self._waiting:
                self._running[client] += 1
                return
            queue = self._waiting.setdefault(client, deque())
            if len(queue) >= self._settings.queue_per_client:
                problem = f"{len(queue)} of your requests wait already; try again in a moment"
                raise LimitReached(problem, 1)
            queue.append(waiter)
        try:
            await waiter.granted.wait()
        except BaseException:
            self._leave(client, waiter)
            raise

    def _leave(self, client: str, waiter: _Waiter) -> None:
        """The client is gone: give up the place in the queue, or the turn that just came."""
        with self._lock:
            queue = self._waiting.get(client)
            if queue and waiter in queue:
                queue.remove(waiter)
                if not queue:
                    del self._waiting[client]
                return
        self._release(client)

    def _release(self, client: str) -> None:
        with self._lock:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]
            while (next_client := self._next()) is not None:
                waiter = self._take(next_client)
                self._running[next_client] += 1
                waiter.loop.call_soon_threadsafe(waiter.granted.set)

    def _may_run(self, client: str) -> bool:
        return self._running.total() < self._slots and self._running[client] < self._most

    def _next(self) -> str | None:
        return next((client for client in self._waiting if self._may_run(client)), None)

    def _take(self, client: str) -> _Waiter:
        """Take the first of a client's requests; the client goes to the end of the round."""
        queue = self._waiting.pop(client)
        waiter = queue.popleft()
        if queue:
            self._waiting[client] = queue
        return waiter
