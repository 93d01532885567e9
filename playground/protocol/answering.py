"""Ask a backend for whole answers and for several at once.

Knows requests and streams; knows no backend in particular.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from playground.errors import InvalidRequest
from playground.protocol.answers import Answer, StreamEvent, collect
from playground.protocol.backend import Backend
from playground.protocol.request import Request, new_request_id

T = TypeVar("T")
K = TypeVar("K")

MAX_CHOICES = 16
MAX_TRIES = 3
RETRY_TEMPERATURE = 0.3


async def answer(backend: Backend, request: Request, tries: int = MAX_TRIES) -> Answer:
    """The whole answer to one request. Raises what the backend raises.

    An answer that breaks its schema is asked for again, with another seed, up to ``tries`` times;
    the last one is returned as it is. Its usage counts all tries.
    """
    got = await collect(backend.stream(request))
    while got.guarantee == "none" and got.tries < tries:
        sampling = request.sampling
        seed = got.tries if sampling.seed is None else sampling.seed + got.tries
        temperature = max(sampling.temperature, RETRY_TEMPERATURE)
        again = replace(
            request,
            id=new_request_id(),
            sampling=replace(sampling, seed=seed, temperature=temperature),
        )
        other = await collect(backend.stream(again))
        usage = got.usage.with_retry(other.usage)
        costs = [each.cost_usd for each in (got, other) if each.cost_usd is not None]
        cost_usd = sum(costs) if costs else None
        got = replace(other, usage=usage, cost_usd=cost_usd, tries=got.tries + 1)
    return got


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
) -> AsyncGenerator[tuple[int, StreamEvent], None]:
    """Events of several requests as they come, each with its request's index.

    The first error ends all of them; closing the generator cancels what still runs.
    """
    sources = {index: backend.stream(request) for index, request in enumerate(requests)}
    async with aclosing(merge(sources)) as merged:
        async for item in merged:
            yield item


async def merge(sources: Mapping[K, AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[K, T], None]:
    """Items of several generators in the order of their arrival, each with its source's key.

    The first error ends all of them; closing this generator closes them. (aiostream's merge drains
    its first source before the others whenever the reader is slower than the sources.)
    """
    arrived: asyncio.Queue[tuple[K, T] | None] = asyncio.Queue()

    async def forward(key: K, source: AsyncGenerator[T, None]) -> None:
        async with aclosing(source):
            async for item in source:
                arrived.put_nowait((key, item))

    async def forward_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for key, source in sources.items():
                    group.create_task(forward(key, source))
        finally:
            arrived.put_nowait(None)

    forwarding = asyncio.create_task(forward_all())
    try:
        while (entry := await arrived.get()) is not None:
            yield entry
        await forwarding
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        forwarding.cancel()
        await asyncio.gather(forwarding, return_exceptions=True)
