"""Compare: the same conversation to several lanes at once, each its own model, prompt and settings.

A lane is pinned to the version of the adapter that its label names: where the name stands for
another one by the time it is asked, the lane fails instead of answering with it. Knows requests and
answers; knows no page and no database.
"""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from playground.errors import PlaygroundError
from playground.protocol import (
    Answer,
    AnswerBuilder,
    Backend,
    Message,
    Provenance,
    Request,
    Sampling,
    Tool,
    merge,
    require_model,
)

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Lane:
    """One column: ``provenance`` identifies the weights that its label stands for."""

    model: str
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class LaneEvent:
    """News of the lane number ``lane``: its text so far, and at its end an answer or an error.

    ``sampling`` are the settings that the lane was asked with.
    """

    lane: int
    text: str
    sampling: Sampling
    answer: Answer | None = None
    error: PlaygroundError | None = None


async def lane_of(
    backend: Backend, model: str, system: str = "", sampling: Sampling | None = None
) -> Lane:
    """A lane for the weights that the name stands for now. Raises `UnknownModel`."""
    info = require_model(await backend.models(), model)
    return Lane(info.name, system, sampling or info.defaults, info.provenance)


def blind_order(lanes: int, seed: int | None = None) -> list[int]:
    """A shuffled order of lanes, so that their position tells nothing."""
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
    sources = {
        number: _ask(backend, number, lane, messages, tools) for number, lane in enumerate(lanes)
    }
    async with aclosing(merge(sources)) as merged:
        async for _, event in merged:
            yield event


async def _ask(
    backend: Backend,
    number: int,
    lane: Lane,
    messages: Sequence[Message],
    tools: Sequence[Tool],
) -> AsyncGenerator[LaneEvent, None]:
    builder, sampling = AnswerBuilder(), lane.sampling
    if sampling.seed is None:
        seed = random.SystemRandom().randint(0, LARGEST_SEED)
        sampling = replace(sampling, seed=seed)
    head = (Message("system", lane.system),) if lane.system else ()
    try:
        request = Request(
            lane.model,
            (*head, *messages),
            tools=tuple(tools),
            sampling=sampling,
            adapter_hash=lane.provenance.adapter_hash,
        )
        async with aclosing(backend.stream(request)) as events:
            async for event in events:
                answer = builder.add(event)
                yield LaneEvent(number, builder.text, sampling, answer)
    except PlaygroundError as error:
        yield LaneEvent(number, builder.text, sampling, error=error)
