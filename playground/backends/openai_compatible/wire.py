"""HTTP to one server: JSON there and back, and streams of JSON objects.

Before the first object of an answer a request that failed for a passing reason (429, 5xx, no
connection) is sent again after a random wait; after it never, as part of the answer was shown. A
circuit breaker spares a server that is down. Redirects are not followed. Knows no dialect.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import httpx

from playground.backends.openai_compatible.breaker import CircuitBreaker
from playground.backends.openai_compatible.problems import error_of
from playground.backends.openai_compatible.server import RemoteServer
from playground.errors import BackendUnavailable, PlaygroundError, RequestFailed
from playground.protocol.json_types import JsonObject, parse_object

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 8.0
LONGEST_ASKED_WAIT_S = 20.0
"""A server that asks to wait longer than this is not waited for."""
MAX_LINE = 16 * 1024 * 1024
MAX_ERROR_BODY = 64 * 1024
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Failed(Exception):
    """A try that failed: what to raise, whether another may succeed, how long the server wants to
    be left alone."""

    error: PlaygroundError
    passing: bool = False
    is_down: bool = False
    wait_s: float = 0.0


class Wire:
    """Belongs to one event loop. ``transport`` and ``sleep`` are for tests."""

    def __init__(
        self,
        server: RemoteServer,
        breaker: CircuitBreaker | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.server = server
        self.breaker = breaker or CircuitBreaker()
        self._sleep = sleep
        self._last_problem = ""
        self._client = httpx.AsyncClient(
            headers=server.headers,
            timeout=httpx.Timeout(server.timeout_s, connect=server.connect_timeout_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            follow_redirects=False,
            transport=transport,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, url: str) -> JsonObject:
        """The JSON object at the address, asked for once; a look at a server that is down, too.

        Raises `BackendUnavailable` and the like.
        """
        try:
            data = await self._once("GET", url, None)
        except _Failed as failed:
            raise failed.error from failed.__cause__
        try:
            return parse_object(data)
        except ValueError:
            raise BackendUnavailable(self.server.alias, f"{url} answers no JSON") from None

    async def post(self, url: str, body: Mapping[str, object], retries: int = 0) -> JsonObject:
        """The JSON object that answers the body; an empty one for an answer that is none."""
        return await self._whole(url, body, retries)

    async def stream(
        self, url: str, body: Mapping[str, object]
    ) -> AsyncGenerator[JsonObject, None]:
        """The objects of a stream, of server-sent events or of lines of JSON.

        Raises what `get` raises before the first one, and `RequestFailed` after it.
        """
        tries = 0
        while True:
            begun = False
            self._ask_breaker()
            try:
                async with aclosing(self._objects(url, body)) as objects:
                    async for item in objects:
                        if not begun:
                            begun = True
                            self.breaker.succeeded()
                        yield item
                return
            except _Failed as failed:
                self._note(failed)
                if begun:
                    raise RequestFailed(failed.error.message) from failed.__cause__
                await self._wait_or_raise(failed, tries, self.server.retries)
                tries += 1

    async def _whole(self, url: str, body: Mapping[str, object], retries: int) -> JsonObject:
        tries = 0
        while True:
            self._ask_breaker()
            try:
                data = await self._once("POST", url, body)
            except _Failed as failed:
                self._note(failed)
                await self._wait_or_raise(failed, tries, retries)
                tries += 1
                continue
            self.breaker.succeeded()
            try:
                return parse_object(data)
            except ValueError:  # adapters are confirmed in words
                return {"text": data.decode("utf-8", "replace")}

    async def _once(self, method: str, url: str, body: Mapping[str, object] | None) -> bytes:
        try:
            response = await self._client.request(method, url, json=body)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._refused(response, response.content)
        return response.content

    async def _objects(
        self, url: str, body: Mapping[str, object]
    ) -> AsyncGenerator[JsonObject, None]:
        try:
            async with self._client.stream("POST", url, json=body) as response:
                if not response.is_success:
                    raise self._refused(response, await _limited(response))
                async for line in _lines(response):
                    text = line.removeprefix("data:").strip()
                    if text == "[DONE]":
                        return
                    if text.startswith("{"):
                        yield _parsed(text, self.server.alias)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> _Failed:
        what = "does not answer in time" if isinstance(error, httpx.TimeoutException) else ""
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            what = f"cannot be reached at {self.server.root}"
        detail = self.server.scrubbed(str(error))
        problem = what or f"broke off the connection: {detail or type(error).__name__}"
        return _Failed(BackendUnavailable(self.server.alias, problem), passing=True, is_down=True)

    def _refused(self, response: httpx.Response, body: bytes) -> _Failed:
        status = response.status_code
        error = error_of(self.server, status, body)
        passing = status in PASSING and error.kind in ("unavailable", "overloaded")
        is_down = status >= 500 and error.kind == "unavailable"
        return _Failed(error, passing, is_down, _retry_after(response.headers))

    def _ask_breaker(self) -> None:
        wait = self.breaker.wait_s()
        if wait:
            problem = f"is left alone for {wait:.0f} s after several failures: {self._last_problem}"
            raise BackendUnavailable(self.server.alias, problem)

    def _note(self, failed: _Failed) -> None:
        if failed.is_down:
            self._last_problem = failed.error.message.removeprefix(
                f"backend {self.server.alias!r}: "
            )
            self.breaker.failed()
        else:
            self.breaker.succeeded()

    async def _wait_or_raise(self, failed: _Failed, tries: int, retries: int) -> None:
        if not failed.passing or tries >= retries or failed.wait_s > LONGEST_ASKED_WAIT_S:
            raise failed.error from failed.__cause__
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**tries)
        await self._sleep(failed.wait_s + random.uniform(0.0, longest))


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds; dates are not read, as clocks differ."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return 0.0


def _parsed(text: str, alias: str) -> JsonObject:
    try:
        return parse_object(text)
    except ValueError as error:
        raise RequestFailed(f"{alias}: the stream is not JSON: {text[:100]}") from error


async def _limited(response: httpx.Response) -> bytes:
    data = b""
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > MAX_ERROR_BODY:
            break
    return data[:MAX_ERROR_BODY]


async def _lines(response: httpx.Response) -> AsyncGenerator[str, None]:
    """Lines of the body, ended by a line feed only: JSON may hold any other separator as it is."""
    held = b""
    async for piece in response.aiter_bytes():
        *lines, held = (held + piece).split(b"\n")
        if len(held) > MAX_LINE:
            raise RequestFailed(f"a line of the stream has more than {MAX_LINE:,} bytes")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if held:
        yield held.decode("utf-8", "replace")
