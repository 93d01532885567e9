"""``/v1/messages`` and ``/v1/messages/count_tokens`` as Anthropic has them, whole or streamed.

The answer is that of the same chat completion. Errors have Anthropic's form.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.answers import extensions, whole_answers
from playground.api.connection import cancel_on_disconnect, read_object
from playground.api.errors import Refused, spelled, translate
from playground.api.messages_schemas import MESSAGES, MessagesBody
from playground.api.messages_translate import messages_request, names_of
from playground.api.openapi import json_body
from playground.api.sse import Chunk, stream_events
from playground.api.translate import ParsedRequest
from playground.errors import PlaygroundError
from playground.protocol import Answer, Backend, Finished, FinishReason, StreamEvent, Usage

STOP_REASONS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "cancelled": "end_turn",
}


def messages_router(backend: Backend) -> APIRouter:
    """Create a message; count the tokens of its prompt."""
    router = APIRouter(prefix="/messages")

    @router.post("", openapi_extra=json_body(MessagesBody, MESSAGES, streams=True))
    async def create(http: HttpRequest) -> Response:
        body = MessagesBody.model_validate(MESSAGES.strip(await read_object(http)))
        if body.max_tokens is None:
            name = "max_tokens"
            problem = f"{name}: this field is required"
            raise Refused(400, "missing_required_parameter", problem, name)
        parsed = await messages_request(body, backend)
        names = {**parsed.spelling, **names_of(body)}
        if body.stream:
            events = backend.stream(parsed.requests[0])
            with spelled(names):
                return await stream_events(http, events, MessageStream(parsed).chunks, named=True)
        with spelled(names):
            work = whole_answers(backend, parsed.requests)
            (answer,) = await cancel_on_disconnect(http.receive, work)
        return JSONResponse(_message(parsed, answer))

    @router.post("/count_tokens", openapi_extra=json_body(MessagesBody, MESSAGES))
    async def count_tokens(http: HttpRequest) -> dict[str, object]:
        body = MessagesBody.model_validate(MESSAGES.strip(await read_object(http)))
        parsed = await messages_request(body, backend)
        with spelled(names_of(body)):
            return {"input_tokens": await backend.count_tokens(parsed.requests[0])}

    return router


def _envelope(parsed: ParsedRequest, usage: Usage) -> dict[str, object]:
    return {
        "id": f"msg_{parsed.requests[0].id}",
        "type": "message",
        "role": "assistant",
        "model": parsed.info.name,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(usage),
    }


def _message(parsed: ParsedRequest, answer: Answer) -> dict[str, object]:
    """The whole message. A call that was cut has no input that could be shown, and is left out."""
    content: list[dict[str, object]] = []
    if answer.reasoning:
        content.append({"type": "thinking", "thinking": answer.reasoning, "signature": ""})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        given = json.loads(call.arguments)
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": given})
    ended = {"content": content, "stop_reason": STOP_REASONS[answer.finish_reason]}
    return _envelope(parsed, answer.usage) | ended | extensions(answer)


def _usage(usage: Usage) -> dict[str, object]:
    """Cached tokens are not among the input's, as Anthropic counts."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


@dataclass(slots=True)
class MessageStream:
    """Events as Anthropic's: blocks begin, grow and end one after another."""

    parsed: ParsedRequest
    _index: int = -1
    _open: tuple[str, int] = ("", -1)
    _chunks: list[Chunk] = field(default_factory=list)

    async def chunks(self, events: AsyncIterator[StreamEvent]) -> AsyncGenerator[Chunk, None]:
        """Every event, from ``message_start`` to ``message_stop``."""
        is_begun = False
        try:
            async for event in events:
                if not is_begun:
                    is_begun = True
                    message = _envelope(self.parsed, event.usage or Usage(0, 0))
                    yield {"type": "message_start", "message": message}
                for chunk in self._of(event):
                    yield chunk
        except PlaygroundError as error:
            yield translate(error).anthropic_body()

    def _of(self, event: StreamEvent) -> list[Chunk]:
        self._chunks = []
        if isinstance(event, Finished):
            self._close()
            delta: Chunk = {"stop_reason": STOP_REASONS[event.finish_reason], "stop_sequence": None}
            end: Chunk = {"type": "message_delta", "delta": delta, "usage": _usage(event.usage)}
            self._chunks += [end | extensions(event), {"type": "message_stop"}]
            return self._chunks
        if event.reasoning:
            self._begin(("thinking", 0), {"type": "thinking", "thinking": "", "signature": ""})
            self._grow({"type": "thinking_delta", "thinking": event.reasoning})
        if event.text:
            self._begin(("text", 0), {"type": "text", "text": ""})
            self._grow({"type": "text_delta", "text": event.text})
        for call in event.calls:
            block: Chunk = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            self._begin(("tool_use", call.index), block)
            if call.arguments:
                self._grow({"type": "input_json_delta", "partial_json": call.arguments})
        return self._chunks

    def _begin(self, key: tuple[str, int], block: Chunk) -> None:
        """Begin a block, unless it is the open one."""
        if self._open == key:
            return
        self._close()
        self._index, self._open = self._index + 1, key
        start: Chunk = {"type": "content_block_start", "content_block": block}
        self._chunks.append(start | {"index": self._index})

    def _grow(self, delta: Chunk) -> None:
        grown: Chunk = {"type": "content_block_delta", "delta": delta}
        self._chunks.append(grown | {"index": self._index})

    def _close(self) -> None:
        if self._open[0]:
            self._chunks.append({"type": "content_block_stop", "index": self._index})
        self._open = ("", -1)
