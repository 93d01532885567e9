"""Compare: the same conversation to several lanes at once, each its own model, prompt and settings.

A lane is pinned to the version of the adapter that its label names: where the name stands for
another one by the time it is asked, the lane fails instead of answering with it. Knows requests and
events; knows no page and no database.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from playground.backends.chat import CallAssembler, events, structured
from playground.errors import PlaygroundError, UnknownModel
from playground.protocol import (
    Backend,
    FinishReason,
    Message,
    Provenance,
    Request,
    Sampling,
    Timings,
    Tool,
    ToolCall,
    Usage,
    named,
)
from playground.protocol.request import new_request_id

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Lane:
    """One column: ``provenance`` are the weights that its label stands for."""

    model: str
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class Finished:
    """A lane's whole answer. ``provenance`` is what the backend says that it was made by."""

    text: str
    calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    provenance: Provenance
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class LaneEvent:
    """What came in the lane ``lane``: its text so far; at its end `Finished` or an error."""

    lane: int
    text: str
    finished: Finished | None = None
    error: PlaygroundError | None = None


def lane_of(
    backend: Backend, model: str, system: str = "", sampling: Sampling | None = None
) -> Lane:
    """A lane for the weights that the name stands for now. Raises `UnknownModel`."""
    info = named(backend.models(), model)
    if info is None:
        raise UnknownModel(model, [each.name for each in backend.models()])
    return Lane(info.name, system, sampling or info.defaults, info.provenance)


def blind_order(lanes: int, seed: int | None = None) -> list[int]:
    """In which order lanes are shown, so that their place tells nothing."""
    order = list(range(lanes))
    random.Random(seed).shuffle(order)
    return order


async def ask_lanes(
    backend: Backend,
    lanes: Sequence[Lane],
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
) -> AsyncGenerator[LaneEvent, None]:
    """All lanes' answers as they are written. A lane that fails ends with its error; the others go
    on. Closing the generator cancels what runs.

    A lane without a seed gets one, so that its answer can be made again.
    """
    arrived: asyncio.Queue[LaneEvent] = asyncio.Queue()
    tasks = [
        asyncio.create_task(_ask(backend, at, lane, messages, tools, arrived))
        for at, lane in enumerate(lanes)
    ]
    try:
        open_lanes = len(tasks)
        while open_lanes:
            event = await arrived.get()
            open_lanes -= bool(event.finished or event.error)
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(
    backend: Backend,
    at: int,
    lane: Lane,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    arrived: asyncio.Queue[LaneEvent],
) -> None:
    text = ""
    try:
        request = _request(backend, lane, messages, tools)
        calls = CallAssembler()
        async with aclosing(events(backend, request)) as pieces:
            async for event in pieces:
                text += event.text
                calls.add(event)
                finished = None
                if event.finish_reason and event.usage and event.timings:
                    finished = Finished(
                        text,
                        calls.whole(event.finish_reason),
                        event.finish_reason,
                        event.usage,
                        event.timings,
                        event.provenance or lane.provenance,
                        request.sampling,
                    )
                if event.text or finished:
                    arrived.put_nowait(LaneEvent(at, text, finished))
    except PlaygroundError as error:
        arrived.put_nowait(LaneEvent(at, text, error=error))


def _request(
    backend: Backend, lane: Lane, messages: Sequence[Message], tools: Sequence[Tool]
) -> Request:
    head = (Message("system", lane.system),) if lane.system else ()
    sampling = lane.sampling
    if sampling.seed is None:
        drawn = random.SystemRandom().randint(0, LARGEST_SEED)
        sampling = replace(sampling, seed=drawn)
    request = Request(
        lane.model,
        (*head, *messages),
        tools=tuple(tools),
        sampling=sampling,
        adapter_hash=lane.provenance.adapter_hash,
        id=new_request_id(),
    )
    return structured(request, info=named(backend.models(), lane.model))
