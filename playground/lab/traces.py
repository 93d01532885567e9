"""Answers as spans, by the semantic conventions of OpenTelemetry for generative AI: what was asked
for, what it took, and when it waited, read its prompt and wrote. Knows no page and no HTTP.
"""

import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Final

from playground.logs import current_request
from playground.protocol import Answer, AnswerBuilder, Delta, Finished, Request, StreamEvent
from playground.tracing import Attributes, Span, Tracer, Value, current_span, within

PROVIDER: Final = "mistral_playground"
END: Final = object()


class Traces:
    """Makes a span of each answer, with its text if the tracer captures content."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def watch(
        self, request: Request, server: str, events: AsyncGenerator[StreamEvent, None]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Pass the stream of an answer on, inside of its span."""
        span = self._begin(request, server)
        builder, is_over = AnswerBuilder(), False
        try:
            async with aclosing(events) as stream:
                while True:
                    with within(span):  # each step: contexts may differ
                        event = await anext(stream, END)
                    if not isinstance(event, Delta | Finished):
                        return
                    answer = builder.add(event) if self._tracer.captures_content else None
                    if isinstance(event, Finished):
                        is_over = True
                        _finish(span, event, answer)
                    yield event
        except BaseException as error:
            if not is_over:
                span.fail(error)
            raise
        finally:
            span.end()

    def _begin(self, request: Request, server: str) -> Span:
        kind = "chat" if request.prompt is None else "text_completion"
        attributes = dict(_asked(request)) | {"gen_ai.operation.name": kind}
        attributes["gen_ai.provider.name"] = server or PROVIDER
        if request_id := current_request():
            attributes["playground.request_id"] = request_id
        if self._tracer.captures_content:
            attributes["gen_ai.input.messages"] = _json(list(_said(request)))
        name, around = f"{kind} {request.model}", current_span()
        if around is None:
            return self._tracer.root(name, attributes, kind="client")
        return around.child(name, attributes, kind="client")


def _finish(span: Span, event: Finished, answer: Answer | None) -> None:
    span.set(_took(event))
    if answer:
        calls = (
            {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
            for call in answer.calls
        )
        parts = [_text(answer.text), *calls]
        said = {"role": "assistant", "parts": parts, "finish_reason": answer.finish_reason}
        span.set({"gen_ai.output.messages": _json([said])})
    ended, timings = time.time(), event.timings
    arrived = ended - timings.total_s
    first = arrived + (timings.first_token_s or timings.total_s)
    queued = min(arrived + timings.queued_s, first)
    for name, start, end in (
        ("queue", arrived, queued),
        ("prefill", queued, first),
        ("decode", first, ended),
    ):
        span.child(name, start_s=start).end(end)


def _said(request: Request) -> Iterator[dict[str, object]]:
    if request.prompt is not None:
        yield {"role": "user", "parts": [_text(str(request.prompt))]}
    for message in request.messages:
        yield {"role": message.role, "parts": [_text(message.content or "")]}


def _text(text: str) -> dict[str, object]:
    return {"type": "text", "content": text}


def _asked(request: Request) -> Iterator[tuple[str, Value]]:
    sampling = request.sampling
    yield "gen_ai.request.model", request.model
    for name in ("temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty",
                 "presence_penalty"):  # fmt: skip
        value = getattr(sampling, name)
        if value or (name in ("temperature", "seed") and value is not None):
            yield f"gen_ai.request.{name}", value
    if sampling.stop:
        yield "gen_ai.request.stop_sequences", tuple(sampling.stop)
    if request.response_format:
        yield "gen_ai.output.type", "json"
    if request.conversation:
        yield "gen_ai.conversation.id", request.conversation
    if request.tools:
        yield "playground.tools", tuple(tool.name for tool in request.tools)


def _took(event: Finished) -> Attributes:
    used = event.usage
    taken: dict[str, Value] = {
        "gen_ai.response.finish_reasons": (event.finish_reason,),
        "gen_ai.usage.input_tokens": used.prompt_tokens,
        "gen_ai.usage.output_tokens": used.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": used.cached_tokens,
        "gen_ai.response.time_to_first_chunk": event.timings.first_token_s,
    }
    if event.provenance.adapter_hash:
        taken["playground.adapter_hash"] = event.provenance.adapter_hash
    return taken


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
