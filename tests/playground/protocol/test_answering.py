"""Whole answers, retries and several streams at once, on scripted backends."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

import pytest

from playground.backends.scripted import ScriptedBackend
from playground.errors import InvalidRequest, RequestFailed
from playground.protocol import (
    Delta,
    Finished,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Usage,
    answer,
    choices,
    merge,
    stream_choices,
)

HELLO = Request("scripted", (Message("user", "Hello!"),), sampling=Sampling(seed=7))


def test_choices_have_own_seeds_and_ids() -> None:
    requests = choices(HELLO, 3)
    assert [request.sampling.seed for request in requests] == [7, 8, 9]
    assert len({request.id for request in requests}) == 3


@pytest.mark.parametrize("n", [0, 17])
def test_choices_refuse_wrong_counts(n: int) -> None:
    with pytest.raises(InvalidRequest, match="n: "):
        choices(HELLO, n)


async def test_stream_choices_interleaves_and_keeps_order() -> None:
    backend = ScriptedBackend(lambda request: [f"{request.sampling.seed} ", "a", "b"])
    texts = {0: "", 1: "", 2: ""}
    ended = set()
    async for index, event in stream_choices(backend, choices(HELLO, 3)):
        if isinstance(event, Finished):
            ended.add(index)
        else:
            texts[index] += event.text
    assert texts == {0: "7 ab", 1: "8 ab", 2: "9 ab"}
    assert ended == {0, 1, 2}


async def test_stream_choices_first_error_ends_all() -> None:
    def script(request: Request) -> Iterable[str]:
        yield "one"
        if request.sampling.seed == 8:
            raise RequestFailed("broken")
        yield from ["more"] * 1000

    backend = ScriptedBackend(script)

    async def read_all() -> None:
        async for _ in stream_choices(backend, choices(HELLO, 3)):
            pass

    with pytest.raises(RequestFailed, match="broken"):
        await read_all()


async def test_merge_closes_sources_when_closed() -> None:
    closed: set[str] = set()

    async def endless(name: str) -> AsyncGenerator[Delta, None]:
        try:
            while True:
                await asyncio.sleep(0)
                yield Delta(name)
        finally:
            closed.add(name)

    merged = merge({name: endless(name) for name in ("a", "b")})
    seen = {(await anext(merged))[0] for _ in range(20)}
    await merged.aclose()
    assert seen == closed == {"a", "b"}


async def test_merge_slow_reader_sees_all_sources() -> None:
    """However late the reader, items come in the order of their arrival."""

    async def counting(name: str) -> AsyncGenerator[Delta, None]:
        for number in range(50):
            await asyncio.sleep(0)
            yield Delta(f"{name}{number}")

    keys = []
    async for key, _ in merge({name: counting(name) for name in "abc"}):
        keys.append(key)
        for _ in range(20):
            await asyncio.sleep(0)
    assert len(keys) == 150
    assert {"a", "b", "c"} <= set(keys[:10])


async def test_merge_of_nothing_is_empty() -> None:
    nothing: dict[str, AsyncGenerator[Delta, None]] = {}
    assert [item async for item in merge(nothing)] == []


UNIQUE = ResponseFormat({"type": "array", "uniqueItems": True})


async def test_answer_counts_all_tries() -> None:
    texts = iter(["[1, 1]", "[2, 2]", "[1, 2]"])
    backend = ScriptedBackend(lambda request: [next(texts)])
    got = await answer(backend, replace(HELLO, response_format=UNIQUE))
    assert (got.text, got.tries, got.guarantee) == ("[1, 2]", 3, "checked")
    assert got.usage == Usage(3, 3, retried=Usage(2, 2))


async def test_answer_that_fits_is_asked_once() -> None:
    backend = ScriptedBackend(lambda request: ["[1]"])
    got = await answer(backend, replace(HELLO, response_format=UNIQUE))
    assert (got.tries, got.usage) == (1, Usage(1, 1))


async def test_answer_retries_with_other_seed() -> None:
    seeds = []

    def script(request: Request) -> Iterable[str]:
        seeds.append(request.sampling.seed)
        return ["[1, 1]"]

    await answer(ScriptedBackend(script), replace(HELLO, response_format=UNIQUE))
    assert len(set(seeds)) == 3
