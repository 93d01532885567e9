"""Conversations of real servers, replayed: what was asked is kept, what is answered is given."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from playground.backends.openai_compatible import RemoteBackend, RemoteServer, server_of
from playground.backends.openai_compatible.breaker import CircuitBreaker
from playground.backends.openai_compatible.io_loop import IoLoop
from playground.backends.openai_compatible.wire import Wire
from playground.protocol import Message, Request, Sampling
from playground.settings import BackendSettings

HELLO = (Message("user", "Hello!"),)
GREEDY = Sampling(temperature=0, max_tokens=32)
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}


@dataclass
class Recording:
    """Answers by path, each path's in their order, the last one again and again.

    ``asked`` are the requests; ``waited`` the seconds that were waited between tries.
    """

    answers: dict[str, list[httpx.Response]]
    asked: list[httpx.Request] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        kept = self.answers.get(request.url.path)
        if not kept:
            return httpx.Response(404, json={"detail": "Not Found"})
        made = kept.pop(0) if len(kept) > 1 else kept[0]
        if made.extensions.get("fails"):
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(made.status_code, headers=made.headers, content=made.content)

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    def bodies(self, path: str) -> list[dict]:
        return [json.loads(one.content) for one in self.asked if one.url.path == path]


def refused() -> httpx.Response:
    """No server listens."""
    return httpx.Response(200, extensions={"fails": True})


def whole(value: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=value, headers=headers)


def sse(*chunks: object, done: bool = True) -> httpx.Response:
    """Server-sent events; text as it is."""
    lines = [
        f"data: {each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)}\n\n"
        for each in chunks
    ]
    text = "".join(lines) + ("data: [DONE]\n\n" if done else "")
    return httpx.Response(200, content=text.encode(), headers=SSE)


def ndjson(*lines: object) -> httpx.Response:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return httpx.Response(
        200, content=text.encode(), headers={"content-type": "application/x-ndjson"}
    )


def chunk(delta: dict, finish: str | None = None, **more: object) -> dict:
    """A chunk as OpenAI's API sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_764_000_000,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}],
    }


def used(prompt: int, completion: int) -> dict:
    """The last chunk, with the usage alone."""
    total = prompt + completion
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage}


def server(kind: str, **settings: object) -> RemoteServer:
    made = BackendSettings.model_validate(
        {"alias": "far", "url": "http://far.test:8000", "kind": kind, "models": ["m"], **settings}
    )
    return server_of(made)


def recording(answers: Mapping[str, httpx.Response | Iterable[httpx.Response]]) -> Recording:
    listed = {
        path: [given] if isinstance(given, httpx.Response) else list(given)
        for path, given in answers.items()
    }
    return Recording(listed)


@contextmanager
def replayed(
    told: Recording,
    kind: str = "openai",
    breaker: CircuitBreaker | None = None,
    change: Callable[[RemoteServer], RemoteServer] = lambda made: made,
    **settings: object,
) -> Iterator[RemoteBackend]:
    """A backend that hears the recording."""
    made = change(server(kind, **settings))
    io = IoLoop()
    wire = Wire(made, breaker, transport=httpx.MockTransport(told.handle), sleep=told.sleep)
    backend = RemoteBackend(made, io, wire)
    try:
        yield backend
    finally:
        backend.close()
        io.close()


def asking(model: str = "far/m", **fields: Any) -> Request:
    return replace(Request(model, HELLO, sampling=GREEDY), **fields)
