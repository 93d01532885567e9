"""Chat: from one request to one or several answers, tool calls and JSON included.

Every face goes through here, so that an answer means the same in the page, the API and the
terminal. Knows no HTTP, no widget and no tensor.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from playground.errors import InvalidRequest, RequestFailed
from playground.protocol import (
    Backend,
    CallDelta,
    CallForm,
    Event,
    FinishReason,
    Guarantee,
    ModelInfo,
    Provenance,
    Request,
    Timings,
    TokenLogprob,
    ToolCall,
    Usage,
)
from playground.protocol.request import new_request_id
from playground.structured.calls import (
    WIRE,
    CallFinder,
    CallReader,
    ToolChoice,
    calls_grammar,
    id_seed,
)
from playground.structured.schema import compile_schema

MAX_CHOICES = 16
RETRY_TEMPERATURE = 0.3


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer, with what its stream said on the way."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: tuple[TokenLogprob, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    guarantee: Guarantee | None = None
    provenance: Provenance | None = None


def structured(
    request: Request,
    *,
    schema: Mapping[str, Any] | None = None,
    strict: bool = False,
    choice: ToolChoice = ToolChoice(),
    info: ModelInfo | None = None,
) -> Request:
    """The request with the grammar of its tools and of the schema that its answer is to have.
    ``info`` is of its model and says how that writes calls; without it they are Mistral's.

    Raises `InvalidRequest` naming the tool or the place in the schema that is wrong, or if the
    model's chat template has no tools.
    """
    compiled = None if schema is None else compile_schema(schema)
    if choice.mode == "none":
        request = replace(request, tools=())
    form: CallForm | None = info.call_form if info else "mistral"
    if form is None and request.tools:
        raise InvalidRequest("tools", f"the chat template of {request.model} has no tool calls")
    form = form or "mistral"
    grammar = calls_grammar(request.tools, choice, compiled, form)
    return replace(request, grammar=grammar, response_schema=schema, strict=strict, call_form=form)


async def events(backend: Backend, request: Request) -> AsyncGenerator[Event, None]:
    """The backend's events, with tool calls read and the answer's schema checked at the end."""
    reader, text = CallReader(id_seed(request)), ""
    wire = WIRE[request.call_form]
    finder = CallFinder(wire) if wire.marker and request.tools and request.grammar else None
    async with aclosing(backend.stream(request)) as pieces:
        async for event in pieces:
            if finder:
                shown, calls = finder.push(event.text)
                shown += finder.flush() if event.finish_reason else ""
                event = replace(event, text=shown, calls=reader.push(calls))
            elif event.channel == "calls":
                event = replace(event, text="", calls=reader.push(event.text))
            text += event.text
            if event.finish_reason == "stop" and reader.calls:
                event = replace(event, finish_reason="tool_calls")
            elif event.finish_reason == "stop" and request.response_schema is not None:
                event = replace(event, guarantee=_guarantee(request, text))
            yield event


def _guarantee(request: Request, text: str) -> Guarantee:
    assert request.response_schema is not None
    compiled = compile_schema(request.response_schema)
    if not compiled.needs_check:
        return "strict"
    problem = compiled.check(text)
    if problem and request.strict:
        raise RequestFailed(f"the answer breaks its schema: {problem}")
    return "none" if problem else "checked"


async def answer(backend: Backend, request: Request, tries: int = 3) -> Answer:
    """The whole answer to one request. Raises what the backend raises.

    An answer that breaks its schema is asked for again, with another seed, up to ``tries`` times;
    the last one is given as it is, or is an error where the request is strict.
    """
    for number in range(1, tries):
        try:
            answered = await _answer_once(backend, request)
        except RequestFailed:
            if request.response_schema is None or not request.strict:
                raise
        else:
            if answered.guarantee != "none":
                return answered
        sampling = request.sampling
        seed = number if sampling.seed is None else sampling.seed + number
        warmer = max(sampling.temperature, RETRY_TEMPERATURE)
        request = replace(
            request,
            id=new_request_id(),
            sampling=replace(sampling, seed=seed, temperature=warmer),
        )
    return await _answer_once(backend, request)


@dataclass(slots=True)
class CallAssembler:
    """Puts the calls of a stream together again."""

    _calls: dict[int, CallDelta] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take what this event says of calls."""
        for delta in event.calls:
            known = self._calls.get(delta.index, CallDelta(delta.index))
            whole = known.arguments + delta.arguments
            self._calls[delta.index] = replace(delta if delta.name else known, arguments=whole)

    def whole(self, reason: FinishReason) -> tuple[ToolCall, ...]:
        """The calls as written; the last one is left out where the answer broke off within it."""
        ordered = [self._calls[index] for index in sorted(self._calls)]
        complete = ordered if reason == "tool_calls" else ordered[:-1]
        return tuple(ToolCall(call.id, call.name, call.arguments) for call in complete)


async def _answer_once(backend: Backend, request: Request) -> Answer:
    texts: list[str] = []
    logprobs: list[TokenLogprob] = []
    calls = CallAssembler()
    async with aclosing(events(backend, request)) as pieces:
        async for event in pieces:
            texts.append(event.text)
            logprobs.extend(event.logprobs)
            calls.add(event)
            if event.finish_reason and event.usage and event.timings:
                return Answer(
                    text="".join(texts),
                    finish_reason=event.finish_reason,
                    usage=event.usage,
                    timings=event.timings,
                    logprobs=tuple(logprobs),
                    calls=calls.whole(event.finish_reason),
                    guarantee=event.guarantee,
                    provenance=event.provenance,
                )
    raise AssertionError("a stream ended without its final event")


def choices(request: Request, n: int) -> tuple[Request, ...]:
    """``n`` requests for ``n`` independent answers to the same prompt.

    With a seed, choice ``i`` is drawn with ``seed + i``, so that the set is reproducible.
    Raises `InvalidRequest` for an ``n`` outside 1 to 16.
    """
    if not 1 <= n <= MAX_CHOICES:
        raise InvalidRequest("n", f"{n!r} is not between 1 and {MAX_CHOICES}")
    seed = request.sampling.seed
    others = (
        replace(
            request,
            id=new_request_id(),
            sampling=replace(request.sampling, seed=None if seed is None else seed + index),
        )
        for index in range(1, n)
    )
    return (request, *others)


async def stream_choices(
    backend: Backend, requests: Sequence[Request]
) -> AsyncGenerator[tuple[int, Event], None]:
    """Events of several requests as they come, each with its choice's index.

    The first error ends all of them; closing the generator cancels what still runs.
    """
    merged: asyncio.Queue[tuple[int, Event | None]] = asyncio.Queue()

    async def forward(index: int, request: Request) -> None:
        async with aclosing(events(backend, request)) as pieces:
            async for event in pieces:
                merged.put_nowait((index, event))

    async def forward_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for index, request in enumerate(requests):
                    group.create_task(forward(index, request))
        finally:
            merged.put_nowait((0, None))

    runner = asyncio.create_task(forward_all())
    try:
        while True:
            index, event = await merged.get()
            if event is None:
                break
            yield index, event
        await runner
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
