"""The typed events of a streamed response, in OpenAI's order.

An item begins with ``output_item.added`` and ends with ``output_item.done`` before the next begins.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field

from playground.api.errors import translate
from playground.api.logprobs import openai_logprobs
from playground.api.responses_objects import (
    COMPLETED,
    IN_PROGRESS,
    INCOMPLETE,
    ResponseShape,
    text_part,
)
from playground.api.sse import Chunk
from playground.errors import PlaygroundError
from playground.protocol import Answer, AnswerBuilder, CallDelta, Delta, Finished, StreamEvent
from playground.store.responses import Item

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ResponseStream:
    """Makes the events; ``on_end`` gets the finished response before its last event."""

    shape: ResponseShape
    on_end: Callable[[Item], None]
    _builder: AnswerBuilder = field(default_factory=AnswerBuilder)
    _sequence: int = 0
    _place: int = -1
    _open: Item | None = None
    _call: int = -1
    _logprobs: list[object] = field(default_factory=list)

    async def chunks(self, events: AsyncIterator[StreamEvent]) -> AsyncGenerator[Chunk, None]:
        """Every event, from ``response.created`` to the last."""
        for kind in ("created", "in_progress"):
            yield self._lifecycle(kind, self.shape.response(IN_PROGRESS))
        try:
            async for event in events:
                answer = self._builder.add(event)
                if isinstance(event, Finished) and answer:
                    for chunk in self._end(answer):
                        yield chunk
                    return
                if isinstance(event, Delta):
                    for chunk in self._delta(event):
                        yield chunk
        except PlaygroundError as error:
            reply = translate(error)
            failed = self.shape.response("failed")
            failed["error"] = {"code": "server_error", "message": reply.message}
            yield self._lifecycle("failed", failed)

    def _event(self, kind: str, **fields: object) -> Chunk:
        event = {"type": f"response.{kind}", "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return event

    def _lifecycle(self, kind: str, response: Item) -> Chunk:
        return self._event(kind, response=response)

    def _of_item(self, kind: str, **fields: object) -> Chunk:
        item_id = self._open["id"] if self._open else ""
        return self._event(kind, item_id=item_id, output_index=self._place, **fields)

    def _of_part(self, kind: str, **fields: object) -> Chunk:
        return self._of_item(kind, content_index=0, **fields)

    def _delta(self, delta: Delta) -> list[Chunk]:
        chunks: list[Chunk] = []
        if delta.reasoning:
            chunks += self._begin("reasoning")
            chunks.append(self._of_part("reasoning_text.delta", delta=delta.reasoning))
        if delta.text:
            chunks += self._begin("message")
            scores = openai_logprobs(delta.logprobs)["content"]
            shown = scores if self.shape.shows_logprobs and isinstance(scores, list) else []
            self._logprobs += shown
            chunks.append(self._of_part("output_text.delta", delta=delta.text, logprobs=shown))
        for call in delta.calls:
            chunks += self._begin_call(call)
            if call.arguments:
                name = "function_call_arguments.delta"
                chunks.append(self._of_item(name, delta=call.arguments))
        return chunks

    def _begin(self, kind: str) -> list[Chunk]:
        """Open the item that text or reasoning belongs to, unless it is open."""
        if self._open and self._open["type"] == kind:
            return []
        chunks = self._close(COMPLETED)
        self._place += 1
        if kind == "reasoning":
            self._open = self.shape.reasoning("", IN_PROGRESS)
            part: Item = {"type": "reasoning_text", "text": ""}
        else:
            self._open = self.shape.message(self._place, [], IN_PROGRESS)
            part = text_part("")
        added = self._event("output_item.added", output_index=self._place, item=self._open)
        return [*chunks, added, self._of_part("content_part.added", part=part)]

    def _begin_call(self, call: CallDelta) -> list[Chunk]:
        if call.index == self._call:
            return []
        chunks = self._close(COMPLETED)
        self._place, self._call = self._place + 1, call.index
        described = {"call_id": call.id, "name": call.name, "arguments": ""}
        self._open = self.shape.call(self._place, described, IN_PROGRESS)
        added = self._event("output_item.added", output_index=self._place, item=self._open)
        return [*chunks, added]

    def _close(self, status: str) -> list[Chunk]:
        """End the open item with all that it holds."""
        if self._open is None:
            return []
        item, kind = {**self._open, "status": status}, self._open["type"]
        if kind == "function_call":
            item["arguments"] = self._builder.arguments_of(self._call)
            ends = [self._of_item("function_call_arguments.done", arguments=item["arguments"])]
        elif kind == "reasoning":
            item = self.shape.reasoning(self._builder.reasoning, status)
            part: Item = {"type": "reasoning_text", "text": self._builder.reasoning}
            ends = [
                self._of_part("reasoning_text.done", text=self._builder.reasoning),
                self._of_part("content_part.done", part=part),
            ]
        else:
            text = self._builder.text
            part = text_part(text) | {"logprobs": self._logprobs}
            item = self.shape.message(self._place, [part], status)
            ends = [
                self._of_part("output_text.done", text=text, logprobs=self._logprobs),
                self._of_part("content_part.done", part=part),
            ]
        ends.append(self._event("output_item.done", output_index=self._place, item=item))
        self._open = None
        return ends

    def _end(self, answer: Answer) -> list[Chunk]:
        """Close what is open; an answer of nothing has an empty message."""
        chunks = [] if self._place >= 0 else self._begin("message")
        response = self.shape.finished(answer)
        status = str(response["status"])
        chunks += self._close(INCOMPLETE if status == INCOMPLETE else COMPLETED)
        self.on_end(response)
        return [*chunks, self._lifecycle(status, response)]
