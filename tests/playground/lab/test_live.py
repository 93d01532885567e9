"""Figures of the last minutes: differences of what ``/metrics`` counts, by a clock of the test."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from playground.engine.stats import EngineStats
from playground.lab.live import LiveFigures, live_object
from playground.lab.metrics import Metrics
from playground.protocol import Finished, Message, Request, StreamEvent, Timings, Usage

ASKED = Request("m", (Message("user", "Hi"),))


class Clock:
    """Seconds since the epoch, as the test has them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def series(live: LiveFigures, minutes: float | None = None) -> dict[str, list[float]]:
    found: Any = live_object(live, minutes)["series"]
    return dict(found)


def stats(cached: int = 0, looked_up: int = 0) -> EngineStats:
    return EngineStats(2, 3, 50, 200, looked_up, cached, 0, 4, 5, 10, 20)


async def answer(metrics: Metrics, first_token_s: float, tokens: int = 10) -> None:
    async def events() -> AsyncGenerator[StreamEvent, None]:
        yield Finished("stop", Usage(7, tokens), Timings(0.0, first_token_s, 1.0))

    async for _ in metrics.watch(ASKED, "", events()):
        pass


async def test_figures_are_differences(clock: Clock) -> None:
    metrics = Metrics("m", stats, lambda: (), lambda: 6)
    live = LiveFigures(metrics, now=clock)
    await answer(metrics, 1.0)  # before anybody reads
    live.read()
    for _ in range(2):
        await answer(metrics, 0.3)
    clock.now += 4
    live.read()
    (figures,) = live.figures()
    assert (figures.time, figures.requests_per_second) == (1004.0, 0.5)
    assert (figures.tokens_per_second, figures.prompt_tokens_per_second) == (5.0, 3.5)
    assert figures.first_token_s == pytest.approx(0.3)
    assert 0.25 < (figures.first_token_p95_s or 0) <= 0.5  # its bucket
    assert (figures.running, figures.waiting, figures.adapters) == (2, 9, 4)
    assert (figures.kv_usage, figures.gpu_used_bytes, figures.gpu_total_bytes) == (0.25, 10, 20)


async def test_what_nobody_asked_is_not_said(clock: Clock) -> None:
    live = LiveFigures(Metrics("m", lambda: None, lambda: ()), now=clock)
    for _ in range(2):
        live.read()
        clock.now += 5
    (figures,) = live.figures()
    assert (figures.requests_per_second, figures.first_token_s, figures.prefix_hit_rate) == (
        0, None, None,
    )  # fmt: skip


async def test_prompt_tokens_found_are_a_share(clock: Clock) -> None:
    found = iter((stats(10, 100), stats(40, 140)))
    live = LiveFigures(Metrics("m", lambda: next(found), lambda: ()), now=clock)
    live.read()
    clock.now += 5
    live.read()
    assert live.figures()[0].prefix_hit_rate == 0.75


def test_a_clock_that_goes_back_is_left_out(clock: Clock) -> None:
    live = LiveFigures(Metrics("m", stats, lambda: ()), now=clock)
    for moment in (1000.0, 990.0, 995.0):
        clock.now = moment
        live.read()
    assert [each.time for each in live.figures()] == [995.0]


def test_the_last_minutes_are_a_list_each(clock: Clock) -> None:
    live = LiveFigures(Metrics("m", stats, lambda: ()), now=clock)
    for _ in range(30):
        live.read()
        clock.now += 5
    assert len(series(live)["time"]) == 29
    assert {len(values) for values in series(live, minutes=1).values()} == {12}


def test_readings_are_kept_while_it_runs() -> None:
    live = LiveFigures(Metrics("m", stats, lambda: ()), interval_s=0.001)
    live.start()
    while len(live.figures()) < 2:
        pass
    live.close()
    assert len(live.figures()) >= 2
