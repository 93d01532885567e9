"""Chat: from one request to one or several answers.

Every face goes through here, so that an answer means the same in the page, the API and the
terminal. Knows no HTTP, no widget and no tensor.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from playground.errors import InvalidRequest
from playground.protocol import (
    Backend,
    Event,
    FinishReason,
    Request,
    Timings,
    TokenLogprob,
    Usage,
)
from playground.protocol.request import new_request_id

MAX_CHOICES = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer, with what its stream said on the way."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: tuple[TokenLogprob, ...] = ()


async def answer(backend: Backend, request: Request) -> Answer:
    """The whole answer to one request. Raises what the backend raises."""
    texts: list[str] = []
    logprobs: list[TokenLogprob] = []
    async with aclosing(backend.stream(request)) as events:
        async for event in events:
            texts.append(event.text)
            logprobs.extend(event.logprobs)
            if event.finish_reason and event.usage and event.timings:
                return Answer(
                    text="".join(texts),
                    finish_reason=event.finish_reason,
                    usage=event.usage,
                    timings=event.timings,
                    logprobs=tuple(logprobs),
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
        async with aclosing(backend.stream(request)) as events:
            async for event in events:
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
