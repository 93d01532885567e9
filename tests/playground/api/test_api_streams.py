"""Server-sent events: their order, their errors, and clients that leave."""

import json
import socket
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
import together

from playground.backends.local import LocalBackend
from playground.errors import RequestFailed
from playground.protocol import Backend, ModelInfo, Request, StreamEvent

CHAT = "/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "Hello!"}]}
PATIENCE_S = 30


class Watched:
    """A backend that tells when a stream of the one behind it has begun, and when it has ended."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.finished = False

    @property
    def running(self) -> bool:
        return self._backend.running

    @property
    def loading(self) -> bool:
        return self._backend.loading

    async def models(self) -> Sequence[ModelInfo]:
        return await self._backend.models()

    async def count_tokens(self, request: Request) -> int:
        return await self._backend.count_tokens(request)

    def cancel(self, request_id: str) -> None:
        self._backend.cancel(request_id)

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        events = self._backend.stream(request)
        try:
            self.begun.set()
            async for event in events:
                yield event
            self.finished = True
        finally:
            await events.aclose()
            self.ended.set()


def hang_up(url: str, body: dict[str, Any], begun: threading.Event, *, read: int) -> None:
    """Send a request, wait until it is being answered and ``read`` bytes came, and go away."""
    address = urlsplit(url)
    data = json.dumps(body).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), PATIENCE_S) as connection:
        connection.sendall(head.encode() + data)
        assert begun.wait(PATIENCE_S)
        if read:
            assert connection.recv(read)


def events_of(reply: httpx.Response) -> list[Any]:
    """The data of each event; every line must be one."""
    blocks = reply.text.split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") for block in blocks)
    data = [block.removeprefix("data: ") for block in blocks]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def test_a_stream_opens_with_the_role_and_closes_with_done(scripted_url) -> None:
    url = scripted_url(lambda request: ["Good ", "day"])
    reply = httpx.post(url + CHAT, json=ASKED | {"stream": True})
    *chunks, done = events_of(reply)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert done == "[DONE]"
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": ""},
        {"content": "Good "},
        {"content": "day"},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)


def test_a_stream_is_neither_cached_nor_buffered(scripted_url) -> None:
    url = scripted_url(lambda request: ["Good day"])
    reply = httpx.post(url + CHAT, json=ASKED | {"stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_usage_comes_last_and_only_if_asked_for(scripted_url, path: str) -> None:
    url = scripted_url(lambda request: ["Good ", "day"])
    asked = {"prompt": "Hello!"} if path.endswith("/v1/completions") else ASKED
    body = {"model": "scripted", "stream": True, "stream_options": {"include_usage": True}}
    *chunks, last, _done = events_of(httpx.post(url + path, json=asked | body))
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 2
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + 2


def failing_script(_request: Request):
    yield "Good "
    raise RequestFailed("the model failed")


def test_an_error_in_mid_stream_is_the_last_event(scripted_url) -> None:
    reply = httpx.post(scripted_url(failing_script) + CHAT, json=ASKED | {"stream": True})
    assert reply.status_code == 200
    last = events_of(reply)[-1]
    assert last["error"]["code"] == "request_failed"
    assert last["error"]["message"] == "the model failed"


def test_an_unforeseen_error_in_mid_stream_tells_nothing_of_our_insides(scripted_url) -> None:
    def script(_request: Request):
        yield "Good "
        raise ZeroDivisionError("a secret")

    reply = httpx.post(scripted_url(script) + CHAT, json=ASKED | {"stream": True})
    assert events_of(reply)[-1]["error"]["code"] == "internal_error"
    assert "secret" not in reply.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("client_class", "error"),
    [(openai.OpenAI, openai.APIError), (together.Together, together.APIError)],
)
def test_both_clients_raise_an_error_in_mid_stream(scripted_url, client_class, error) -> None:
    url = scripted_url(failing_script)
    with client_class(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        stream = client.chat.completions.create(**ASKED, stream=True)
        with pytest.raises(error, match="the model failed"):
            list(stream)


@pytest.mark.parametrize("n", [1, 3])
def test_a_client_gone_in_mid_stream_frees_its_slots(
    serve, backend: LocalBackend, model: str, n: int
):
    watched = Watched(backend)
    url = serve(watched)
    endless = {"logit_bias": {"2": -100}, "temperature": 0, "n": n}  # never the end token
    hang_up(url, ASKED | endless | {"model": model, "stream": True}, watched.begun, read=400)
    assert watched.ended.wait(PATIENCE_S)
    assert not watched.finished
    # Cancelled ones leave before the next step, so after another answer none is left.
    httpx.post(url + CHAT, json=ASKED | {"model": model, "max_tokens": 1})
    assert backend.live_requests == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_gone_before_the_first_word_frees_its_slot(
    serve, backend: LocalBackend, model: str, stream: bool
) -> None:
    watched = Watched(backend)
    url = serve(watched)
    long = [{"role": "user", "content": "word " * 2000}]
    endless = {"logit_bias": {"2": -100}, "temperature": 0}
    body = {"model": model, "messages": long, "stream": stream} | endless
    hang_up(url, body, watched.begun, read=0)
    assert watched.ended.wait(PATIENCE_S)
    assert not watched.finished
