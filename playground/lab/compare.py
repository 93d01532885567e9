"""Compare: the same conversation to several lanes at once, each its own model, prompt and settings.

    lanes = [await lane_of(backend, "embedded"), await lane_of(backend, "shop")]
    async for event in ask_lanes(backend, lanes, (Message("user", "Hello!"),)): ...

A lane is pinned to the version of the adapter that its label names: where the name stands for
another one by the time it is asked, the lane fails instead of answering with it. Knows requests and
answers; knows no page and no database.
"""

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from playground.errors import InvalidRequest, PlaygroundError
from playground.lab.prompts import PromptVersion, request_of
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
MIN_LANES, MAX_LANES = 2, 6
INPUT = "input"
"""A stored prompt's variable of this name is filled with the first question, as in a sweep."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One column: ``provenance`` identifies the weights that its label stands for.

    With a stored ``prompt``, rendered with ``variables``, its messages begin the conversation in
    place of ``system``, and its tools and schema hold. ``conversation`` is the id of the kept
    conversation that its answers belong to.
    """

    model: str
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    provenance: Provenance = field(default_factory=Provenance)
    prompt: PromptVersion | None = None
    variables: Mapping[str, object] = field(default_factory=dict)
    conversation: str = ""

    @property
    def prompt_name(self) -> str:
        """The stored prompt as ``NAME@VERSION``, empty without one."""
        return f"{self.prompt.name}@{self.prompt.number}" if self.prompt else ""

    def request(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> Request:
        """Return what the lane asks after these messages. Raises `InvalidRequest`, for a variable
        without a value too."""
        if self.prompt is None:
            head = (Message("system", self.system),) if self.system else ()
            request = Request(
                self.model, (*head, *messages), tools=tuple(tools), sampling=self.sampling
            )
        else:
            asked = self._rendered(self.prompt, messages)
            content = self.prompt.content
            request = request_of(content, asked, model=self.model, sampling=self.sampling)
        return replace(
            request,
            adapter_hash=self.provenance.adapter_hash,
            prompt_version=self.prompt_name,
            conversation=self.conversation,
        )

    def _rendered(self, prompt: PromptVersion, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The prompt's messages, the first question in their variable if they have one for it, and
        the rest of the conversation behind them."""
        values, rest = dict(self.variables), tuple(messages)
        takes_input = any(each.name == INPUT for each in prompt.content.variables)
        if takes_input and INPUT not in values and rest and rest[0].role == "user":
            values[INPUT], rest = rest[0].content, rest[1:]
        return (*prompt.messages(values), *rest)


@dataclass(frozen=True, slots=True)
class LaneEvent:
    """News of the lane number ``lane``: its text so far, and at its end an answer or an error.

    ``sampling`` are the settings that the lane was asked with, ``messages`` the whole conversation.
    """

    lane: int
    text: str
    sampling: Sampling
    messages: tuple[Message, ...] = ()
    answer: Answer | None = None
    error: PlaygroundError | None = None


async def lane_of(
    backend: Backend,
    model: str,
    system: str = "",
    sampling: Sampling | None = None,
    prompt: PromptVersion | None = None,
    variables: Mapping[str, object] | None = None,
) -> Lane:
    """A lane for the weights that the name stands for now. Raises `UnknownModel`."""
    info = require_model(await backend.models(), model)
    return Lane(
        info.name, system, sampling or info.defaults, info.provenance, prompt, variables or {}
    )


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
    *,
    earlier: Sequence[Sequence[Message]] = (),
) -> AsyncGenerator[LaneEvent, None]:
    """All lanes' answers as they are written. A lane that fails ends with its error; the others go
    on. Closing the generator cancels what runs.

    ``earlier`` is each lane's own conversation before ``messages``. A lane without a seed gets one,
    so that its answer can be made again. Raises `InvalidRequest` if ``earlier`` is of other lanes.
    """
    if earlier and len(earlier) != len(lanes):
        raise InvalidRequest("earlier", f"is of {len(earlier)} lanes, not of {len(lanes)}")
    sources = {
        number: _ask(
            backend, number, lane, (*(earlier[number] if earlier else ()), *messages), tools
        )
        for number, lane in enumerate(lanes)
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
    asked: tuple[Message, ...] = ()
    try:
        request = replace(lane, sampling=sampling).request(messages, tools)
        asked = request.messages
        async with aclosing(backend.stream(request)) as events:
            async for event in events:
                answer = builder.add(event)
                yield LaneEvent(number, builder.text, sampling, asked, answer)
    except PlaygroundError as error:
        yield LaneEvent(number, builder.text, sampling, asked, error=error)
