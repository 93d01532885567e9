"""What goes wrong between here and another server: retries, the breaker, keys, broken streams."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from playground.backends.openai_compatible import server_of
from playground.backends.openai_compatible.breaker import CircuitBreaker
from playground.errors import BackendBusy, BackendUnavailable, InvalidSettings, RequestFailed
from playground.protocol import Delta, Finished, collect
from playground.settings import BackendSettings
from tests.playground.backends.openai_compatible.recorded import (
    Recording,
    asking,
    chunk,
    recording,
    refused,
    replayed,
    sse,
    whole,
)
from tests.playground.backends.openai_compatible.servers import CHAT, TRIED, VLLM_MODELS

CHATS = "/v1/chat/completions"
KEY = "sk-secret-4711"
BUSY = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit"}}


def told(*answers: httpx.Response) -> Recording:
    return recording({"/v1/models": VLLM_MODELS, CHATS: [TRIED] * 4 + list(answers)})


@pytest.mark.parametrize("failure", [whole(BUSY, 429), whole({}, 503), refused()])
async def test_passing_failure_is_tried_again(failure: httpx.Response) -> None:
    kept = told(failure, failure, CHAT)
    with replayed(kept) as backend:
        got = await collect(backend.stream(asking()))
    assert got.text.startswith("Hi")
    assert len(kept.waited) == 2


@pytest.mark.slow
async def test_waits_are_random_and_grow() -> None:
    waits = []
    for _ in range(20):
        kept = told(whole({}, 503), whole({}, 503), whole({}, 503), CHAT)
        with replayed(kept, breaker=CircuitBreaker(failures=99)) as backend:
            await collect(backend.stream(asking()))
        waits.append(kept.waited)
    assert all(0 <= first <= 0.5 and third <= 2 for first, _, third in waits)
    assert len({first for first, _, _ in waits}) > 10
    assert sum(third for _, _, third in waits) > sum(first for first, _, _ in waits)


async def test_retry_after_is_honoured() -> None:
    kept = told(whole(BUSY, 429, **{"retry-after": "7"}), CHAT)
    with replayed(kept) as backend:
        await collect(backend.stream(asking()))
    assert 7 <= kept.waited[0] <= 7.5


async def test_long_retry_after_is_not_waited_for() -> None:
    kept = told(whole(BUSY, 429, **{"retry-after": "3600"}), CHAT)
    with replayed(kept) as backend, pytest.raises(BackendBusy, match="Rate limit"):
        await collect(backend.stream(asking()))
    assert kept.waited == []


async def test_retries_are_counted() -> None:
    kept = told(whole(BUSY, 429))
    with replayed(kept, retries=2) as backend, pytest.raises(BackendBusy):
        await collect(backend.stream(asking()))
    assert len(kept.waited) == 2


async def test_begun_answer_is_never_tried_again() -> None:
    kept = told(sse(chunk({"content": "Hi"}), done=False), CHAT)
    got: list[str] = []

    async def read() -> None:
        async for event in backend.stream(asking()):
            assert isinstance(event, Delta)
            got.append(event.text)

    with replayed(kept) as backend, pytest.raises(RequestFailed, match="connection ended"):
        await read()
    assert got == ["Hi"]
    assert kept.waited == []


async def test_error_within_a_stream_fails() -> None:
    problem = {"error": {"message": "CUDA out of memory", "type": "InternalServerError"}}
    kept = told(sse(chunk({"content": "Hi"}), problem))
    with replayed(kept) as backend, pytest.raises(RequestFailed, match="CUDA out of memory"):
        await collect(backend.stream(asking()))


async def test_stream_that_is_no_json_fails() -> None:
    with replayed(told(sse("{nonsense"))) as backend, pytest.raises(RequestFailed, match="JSON"):
        await collect(backend.stream(asking()))


async def test_breaker_opens_and_closes_again() -> None:
    now = [0.0]
    breaker = CircuitBreaker(failures=2, pause_s=15, clock=lambda: now[0])
    kept = told(refused(), refused(), CHAT)
    with replayed(kept, breaker=breaker, retries=0) as backend:
        for _ in range(2):
            with pytest.raises(BackendUnavailable, match="cannot be reached"):
                await collect(backend.stream(asking()))
        asked = len(kept.asked)
        with pytest.raises(BackendUnavailable, match="left alone for 15 s"):
            await collect(backend.stream(asking()))
        assert len(kept.asked) == asked
        now[0] = 16.0
        got = await collect(backend.stream(asking()))
    assert got.text.startswith("Hi")
    assert not breaker.is_open


def test_open_breaker_lets_one_try() -> None:
    now = [0.0]
    breaker = CircuitBreaker(failures=1, pause_s=10, clock=lambda: now[0])
    breaker.failed()
    now[0] = 10.0
    assert breaker.wait_s() == 0
    assert breaker.wait_s() == 10


async def test_redirect_is_not_followed() -> None:
    kept = told(whole({}, 307, location="http://elsewhere.test/v1/chat/completions"))
    with replayed(kept) as backend, pytest.raises(BackendUnavailable, match="redirect"):
        await collect(backend.stream(asking()))
    assert {one.url.host for one in kept.asked} == {"far.test"}


async def test_key_is_sent_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    problem = {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    shown = []
    for status in (401, 400, 500):
        kept = told(whole(problem, status))
        with replayed(kept, key_env="FAR_KEY", retries=0) as backend:
            with pytest.raises(Exception, match="far") as failure:
                await collect(backend.stream(asking()))
            shown += [str(failure.value), repr(backend.server), str(await backend.models())]
        assert kept.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in caplog.text
    assert KEY not in "".join(shown)


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"key_env": "NOT_SET_HERE"}, "NOT_SET_HERE"), ({"key_file": "/no/such/key"}, "no/such/key")],
)
def test_missing_key_is_named(given: dict, reason: str) -> None:
    settings = BackendSettings.model_validate({"alias": "a", "url": "http://h", **given})
    with pytest.raises(InvalidSettings, match=reason):
        server_of(settings)


def test_key_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    settings = BackendSettings(alias="a", url="http://h/openai/v1", key_file=path)
    made = server_of(settings)
    assert (made.key, made.api, made.root) == (KEY, "http://h/openai/v1", "http://h/openai")


class Endless(httpx.AsyncByteStream):
    """A stream that says one thing and waits; ``closed`` once nobody listens any more."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def __aiter__(self):
        yield sse(chunk({"content": "Hi"}), done=False).content
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed.set()


def endless(stream: Endless) -> Recording:
    """A server whose answer never ends."""

    class Waiting(Recording):
        async def handle(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle(request)
            if b'"stream":true' in request.content:
                return httpx.Response(200, stream=stream)
            return answer

    return Waiting(told(CHAT).answers)


async def test_cancel_closes_the_connection() -> None:
    stream = Endless()
    with replayed(endless(stream)) as backend:
        request = asking()
        events = []
        async for event in backend.stream(request):
            events.append(event)
            backend.cancel(request.id)
        assert isinstance(events[-1], Finished)
        assert events[-1].finish_reason == "cancelled"
        await asyncio.wait_for(backend._io.run(stream.closed.wait()), 5)


async def test_left_stream_closes_the_connection() -> None:
    stream = Endless()
    with replayed(endless(stream)) as backend:
        events = backend.stream(asking())
        await anext(events)
        await events.aclose()
        await asyncio.wait_for(backend._io.run(stream.closed.wait()), 5)
