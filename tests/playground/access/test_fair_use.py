"""Turns, limits and caps, over a clock and a loop of their own."""

import asyncio
from dataclasses import replace

import pytest

from playground.access import Area, FairUse, Identity, acting_as
from playground.errors import InvalidRequest, LimitReached
from playground.protocol import Message, Request, Sampling, Tool, Usage
from playground.settings import LimitSettings

AREAS = frozenset({Area.CHAT})


def client(name: str) -> Identity:
    return Identity(name, f"key:{name}", AREAS, via="key")


def request(max_tokens: int | None = None, tools: int = 0) -> Request:
    sampling = Sampling(max_tokens=max_tokens)
    made = tuple(Tool(f"t{at}", "", {"type": "object"}) for at in range(tools))
    return Request("m", (Message("user", "Hi"),), sampling=sampling, tools=made)


async def ask(fair_use: FairUse, name: str, order: list[str], tokens: int = 10) -> None:
    with acting_as(client(name)):
        async with fair_use.turn(request()) as turn:
            order.append(name)
            await asyncio.sleep(0)  # others are asked
            turn.usage = Usage(tokens, 0)


async def test_one_request_passes_a_hundred() -> None:
    order: list[str] = []
    fair_use = FairUse(LimitSettings(), slots=4)
    greedy = [asyncio.create_task(ask(fair_use, "greedy", order)) for _ in range(100)]
    await asyncio.sleep(0)
    assert order == ["greedy"] * 2  # half of the slots, however many it sends
    await ask(fair_use, "modest", order)
    assert order.index("modest") <= 4
    await asyncio.gather(*greedy)
    assert len(order) == 101


async def test_waiting_clients_take_turns() -> None:
    order: list[str] = []
    fair_use = FairUse(LimitSettings(), slots=1)
    names = ["a"] * 6 + ["b"] * 2
    await asyncio.gather(*(ask(fair_use, name, order) for name in names))
    assert order[:5] == ["a", "a", "b", "a", "b"]


async def test_a_client_that_leaves_frees_its_place() -> None:
    order: list[str] = []
    fair_use = FairUse(LimitSettings(), slots=1)
    with acting_as(client("a")):
        async with fair_use.turn(request()):
            waiting = asyncio.create_task(ask(fair_use, "b", order))
            await asyncio.sleep(0)
            assert fair_use.waiting() == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert fair_use.waiting() == 0
    await ask(fair_use, "c", order)
    assert order == ["c"]


async def test_a_full_queue_is_refused() -> None:
    fair_use = FairUse(LimitSettings(queue_per_client=1), slots=1)
    with acting_as(client("a")):
        async with fair_use.turn(request()):
            waiting = asyncio.create_task(ask(fair_use, "a", []))
            await asyncio.sleep(0)
            with pytest.raises(LimitReached):
                await ask(fair_use, "a", [])
        await waiting


async def test_requests_a_minute_are_counted() -> None:
    fair_use = FairUse(LimitSettings(requests_per_minute=2), slots=4)
    for _ in range(2):
        await ask(fair_use, "a", [])
    with pytest.raises(LimitReached, match="2 requests a minute") as reached:
        await ask(fair_use, "a", [])
    assert 1 <= reached.value.retry_after_s <= 60
    await ask(fair_use, "b", [])


@pytest.mark.parametrize("limit", ["tokens_per_minute", "tokens_per_day"])
async def test_tokens_are_counted_when_spent(limit: str) -> None:
    fair_use = FairUse(LimitSettings(**{limit: 15}), slots=4)
    for _ in range(2):
        await ask(fair_use, "a", [])
    with pytest.raises(LimitReached, match="15 tokens"):
        await ask(fair_use, "a", [])


async def test_budgets_count_days_of_owners() -> None:
    fair_use = FairUse(LimitSettings(tokens_per_day=15), slots=4, has_budgets=True)
    owned = replace(client("owned"), owner="user_1")
    for who, spent in ((owned, 0), (replace(owned, via="visit"), 1), (client("settings"), 1)):
        with acting_as(who):
            async with fair_use.turn(request()) as turn:
                turn.usage = Usage(20, 0)
            if spent:
                with pytest.raises(LimitReached, match="15 tokens"):
                    async with fair_use.turn(request()):
                        pass
    with acting_as(owned):
        async with fair_use.turn(request()):
            pass


async def test_headers_say_what_is_left() -> None:
    fair_use = FairUse(LimitSettings(requests_per_minute=5), slots=4)
    await ask(fair_use, "a", [])
    found = fair_use.headers(client("a"))
    assert (found["x-ratelimit-limit-requests"], found["x-ratelimit-remaining-requests"]) == (
        "5", "4",
    )  # fmt: skip


async def test_a_long_answer_is_capped() -> None:
    fair_use = FairUse(LimitSettings(max_answer_tokens=8), slots=4)
    with acting_as(client("a")):
        async with fair_use.turn(request()) as turn:
            assert turn.request.sampling.max_tokens == 8
        with pytest.raises(InvalidRequest, match="max_tokens: 9"):
            async with fair_use.turn(request(max_tokens=9)):
                pass


async def test_many_tools_are_refused() -> None:
    fair_use = FairUse(LimitSettings(max_tools=2), slots=4)
    with acting_as(client("a")), pytest.raises(InvalidRequest, match="3 tools"):
        async with fair_use.turn(request(tools=3)):
            pass


async def test_nobody_asked_is_nobody_limited() -> None:
    fair_use = FairUse(LimitSettings(requests_per_minute=1), slots=1)
    for _ in range(3):
        async with fair_use.turn(request()):
            pass
