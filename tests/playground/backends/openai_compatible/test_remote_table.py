"""The cells of the table in docs/backends.md that say "recorded", of each kind of server."""

import asyncio

import httpx
import pytest

from playground.errors import InvalidRequest
from playground.protocol import Finished, ResponseFormat, ToolCall, collect
from tests.playground.backends.openai_compatible.recorded import (
    Recording,
    asking,
    chunk,
    ndjson,
    recording,
    replayed,
    sse,
    used,
    whole,
)
from tests.playground.backends.openai_compatible.servers import (
    CALLS,
    CHAT,
    CHATS,
    GREETED,
    MISTRAL_MODELS,
    NOTE,
    OLLAMA,
    TRIALS,
    TRIED,
    VLLM_MODELS,
)

OLLAMA_CHAT = "/api/chat"
FORM = ResponseFormat(GREETED, name="greeting")
NAMED = {"type": "json_schema", "json_schema": {"name": "greeting", "schema": GREETED}}
TRUE = '{"greeted": true}'
SCHEMA_STREAM = sse(chunk({"content": TRUE}, "stop"), used(5, 5))
CALLING = whole({"data": [{**MISTRAL_MODELS.json()["data"][0], "capabilities": {
    "completion_chat": True, "function_calling": True}}]})  # fmt: skip


def server_of(kind: str, answer: httpx.Response) -> Recording:
    """A server of this kind that gives this answer, once it has passed the trials."""
    if kind == "ollama":
        return recording(OLLAMA | {OLLAMA_CHAT: answer})
    if kind == "mistral":
        return recording({"/v1/models": CALLING, CHATS: answer})
    return recording({"/v1/models": VLLM_MODELS, CHATS: [*[TRIED] * TRIALS, answer]})


@pytest.mark.parametrize("kind", ["openai", "llama.cpp", "together", "mistral"])
async def test_calls_of_each_kind(kind: str) -> None:
    kept = server_of(kind, CALLS)
    with replayed(kept, kind) as backend:
        got = await collect(backend.stream(asking(tools=(NOTE,))))
    assert got.calls == (ToolCall("qHYGB3mZo", "note", '{"word": "hello"}'),)
    assert kept.bodies(CHATS)[-1]["tools"][0]["function"]["name"] == "note"


@pytest.mark.parametrize(
    ("kind", "field", "wanted"),
    [
        ("openai", "response_format", NAMED),
        ("vllm", "response_format", NAMED),
        ("together", "response_format", NAMED),
        ("mistral", "response_format", NAMED),
        ("llama.cpp", "response_format", {"type": "json_object", "schema": GREETED}),
        ("ollama", "format", GREETED),
    ],
)
async def test_schema_of_each_kind(kind: str, field: str, wanted: object) -> None:
    path, stream = CHATS, SCHEMA_STREAM
    if kind == "ollama":
        path = OLLAMA_CHAT
        stream = ndjson({"message": {"content": TRUE}, "done": True, "done_reason": "stop"})
    kept = server_of(kind, stream)
    with replayed(kept, kind) as backend:
        got = await collect(backend.stream(asking(response_format=FORM)))
    assert (got.text, got.guarantee) == (TRUE, "checked")
    assert kept.bodies(path)[-1][field] == wanted


async def test_together_takes_a_regex() -> None:
    kept = server_of("together", sse(chunk({"content": "Hi"}, "stop")))
    form = ResponseFormat(kind="regex", pattern="H.")
    with replayed(kept, "together") as backend:
        got = await collect(backend.stream(asking(response_format=form)))
    assert (got.text, got.guarantee) == ("Hi", "checked")
    assert kept.bodies(CHATS)[-1]["response_format"] == {"type": "regex", "pattern": "H."}


PROBLEM = "that is too warm"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("openai", {"error": {"message": PROBLEM, "param": "temperature", "code": None}}),
        ("vllm", {"object": "error", "message": PROBLEM, "param": "temperature", "code": 400}),
        ("llama.cpp", {"error": {"code": 400, "message": PROBLEM, "type": "invalid_request"}}),
        ("together", {"error": {"message": PROBLEM, "type": "invalid_request_error"}}),
        ("mistral", {"object": "error", "message": {"detail": [
            {"loc": ["body", "temperature"], "msg": PROBLEM}]}}),
        ("ollama", {"error": PROBLEM}),
    ],
)  # fmt: skip
async def test_refusal_of_each_kind(kind: str, body: dict) -> None:
    with replayed(server_of(kind, whole(body, 400)), kind) as backend:
        with pytest.raises(InvalidRequest, match=PROBLEM) as caught:
            await collect(backend.stream(asking()))
        named = "temperature" if "temperature" in str(body) else "messages"
        assert caught.value.field == named


class Endless(httpx.AsyncByteStream):
    """An answer that never ends; ``closed`` once nobody listens any more."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.closed = asyncio.Event()

    async def __aiter__(self):
        yield self.first
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("kind", ["openai", "vllm", "llama.cpp", "together", "mistral", "ollama"])
async def test_cancel_of_each_kind(kind: str) -> None:
    line = ndjson({"message": {"content": "Hi"}, "done": False}).content
    stream = Endless(
        line if kind == "ollama" else sse(chunk({"content": "Hi"}), done=False).content
    )

    class Waiting(Recording):
        async def handle(self, request: httpx.Request) -> httpx.Response:
            streams = b'"stream":true' in request.content
            return httpx.Response(200, stream=stream) if streams else await super().handle(request)

    with replayed(Waiting(server_of(kind, CHAT).answers), kind) as backend:
        request, last = asking(), None
        async for event in backend.stream(request):
            last = event
            backend.cancel(request.id)
        assert isinstance(last, Finished)
        assert last.finish_reason == "cancelled"
        await asyncio.wait_for(backend._io.run(stream.closed.wait()), 5)
