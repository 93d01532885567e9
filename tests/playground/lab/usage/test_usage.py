"""Usage: counted at the end of each stream, kept through trouble, summed up with its cost."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.backends.router import ModelRouter
from playground.errors import InvalidRequest, RequestFailed
from playground.evaluation.temporary_names import temporary_name
from playground.lab.usage import UsageMeter, usage_report
from playground.lab.usage.buckets import usage_buckets
from playground.lab.usage.report import last_days
from playground.protocol import (
    Delta,
    Finished,
    Message,
    Provenance,
    Request,
    Sampling,
    StreamEvent,
    Timings,
    Usage,
)
from playground.protocol.origin import coming_from
from playground.settings import ModelPrice, UsageSettings
from playground.settings.usage import price_of
from playground.store.usage import DAY_S, AnswerUsage, UsageStore, WantedUsage
from playground.store.viewer import Viewer, viewed_by

NOON = 1_790_000_000 // DAY_S * DAY_S + DAY_S // 2
PRICES = (ModelPrice(model="small*", input=1, output=3, cached_input=0.5),)
ANSWER = AnswerUsage(
    ended=NOON, model="small", prompt_tokens=1000, cached_tokens=400, completion_tokens=101,
    first_token_s=0.5, total_s=2.5, running_s=2.0,
)  # fmt: skip
WRITER = """
import time
import sys
from pathlib import Path
from playground.lab.usage import UsageMeter
from playground.settings import UsageSettings
from playground.store.usage import AnswerUsage, UsageStore
meter = UsageMeter(UsageStore(Path(sys.argv[1])), UsageSettings())
for number in range(50):
    model = sys.argv[2]
    meter.add(AnswerUsage(ended=time.time(), model=model, prompt_tokens=1, completion_tokens=1))
meter.close()
"""


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[UsageMeter]:
    settings = UsageSettings(prices=PRICES, gpu_usd_per_hour=3.6)
    with closing(UsageMeter(UsageStore(tmp_path), settings, "embedded")) as meter:
        yield meter


def asked() -> Request:
    sampling = Sampling(temperature=0, max_tokens=8)
    return Request("embedded", (Message("user", "Hi! How are you?"),), sampling=sampling)


def test_an_answer_is_counted(meter: UsageMeter, backend: LocalBackend) -> None:
    async def ask() -> Finished:
        request = replace(asked(), conversation="conv_1", prompt_version="greet@2")
        with coming_from("chat", "key_1"):
            async with aclosing(ModelRouter(backend, (), meter.watch).stream(request)) as events:
                *_, last = [event async for event in events]
        assert isinstance(last, Finished)
        return last

    last = asyncio.run(ask())
    groups = ("model", "source", "key", "conversation", "prompt")
    (line,) = usage_report(meter, groups).lines
    assert tuple(line.by.values()) == ("embedded", "chat", "key_1", "conv_1", "greet@2")
    assert line.completion_tokens == last.usage.completion_tokens > 1
    assert line.prompt_tokens == last.usage.prompt_tokens
    assert line.cost_usd == pytest.approx(last.cost_usd)
    assert line.tokens_per_second


async def test_an_adapters_short_name_has_one_price(tmp_path: Path) -> None:
    """What the answer says it cost is what the report says."""
    prices = UsageSettings(prices=(ModelPrice(model="small", input=100, output=100),))
    with closing(UsageMeter(UsageStore(tmp_path), prices, "small")) as meter:
        end = Finished(
            "stop", Usage(10, 10), Timings(0, 0.1, 0.2), provenance=Provenance(adapter="shop")
        )

        async def answer() -> AsyncGenerator[StreamEvent, None]:
            yield end

        [told] = [
            event async for event in meter.watch(replace(asked(), model="shop"), "", answer())
        ]
        assert isinstance(told, Finished)
        (line,) = usage_report(meter).lines
    assert line.by == {"model": "small:shop"}
    assert told.cost_usd == pytest.approx(line.cost_usd) == pytest.approx(0.002)


async def pieces(*events: StreamEvent) -> AsyncGenerator[StreamEvent, None]:
    for event in events:
        yield event
    raise RequestFailed("the other server hung up")


async def test_what_is_left_is_counted(meter: UsageMeter) -> None:
    """A client that hangs up, and a stream that breaks off: their tokens were written."""
    told = Delta("Hel", usage=Usage(7, 2))
    left = meter.watch(asked(), "far", pieces(told, told))
    async with aclosing(left) as events:
        await anext(events)
    with pytest.raises(RequestFailed):
        async for _ in meter.watch(asked(), "far", pieces(Delta("a"), Delta("b"))):
            pass
    meter.flush()
    kept = meter.store.sums(WantedUsage(), ["server"])
    assert [(each.answers, each.prompt_tokens, each.completion_tokens) for each in kept] == [
        (2, 7, 4)
    ]


def test_prices_come_from_the_table(meter: UsageMeter) -> None:
    meter.add(ANSWER)
    meter.add(replace(ANSWER, model="small:shop", cached_tokens=0))
    meter.add(replace(ANSWER, model="other"))
    lines = {line.by["model"]: line for line in usage_report(meter).lines}
    assert lines["small"].cost_usd == pytest.approx((600 * 1 + 400 * 0.5 + 101 * 3) / 1e6)
    assert lines["small:shop"].cost_usd == pytest.approx((1000 + 303) / 1e6)
    assert lines["other"].cost_usd == pytest.approx((300 + 80.8) / 1e6)
    assert lines["small"].tokens_per_second == pytest.approx(50)


def test_an_adapter_costs_as_its_base() -> None:
    table = (ModelPrice(model="base", input=1, output=1), ModelPrice(model="*", input=9, output=9))
    assert price_of(table[:1], "base:shop").input == 1
    assert price_of((table[1], table[0]), "base").input == 9
    assert UsageSettings.model_validate({"prices": ["far/*=1/2/0.5"]}).price_of(
        "far/x"
    ).cached_input == 0.5  # fmt: skip


def test_own_cost_counts_overlaps_once(meter: UsageMeter) -> None:
    """Two answers of one batch, the second within the first; then one alone; another server's."""
    for ended, running_s in ((NOON + 10, 4.0), (NOON + 9, 2.0), (NOON + 30, 1.0)):
        meter.add(replace(ANSWER, ended=ended, running_s=running_s))
    meter.add(replace(ANSWER, server="far", running_s=100.0))
    own = usage_report(meter).own
    assert own
    assert own.tokens == 3 * 1101
    assert own.busy_s == pytest.approx(5.0)
    assert own.usd_per_million == pytest.approx(3.6 / 3600 * 5 / 3303 * 1e6)


def test_days_are_those_of_utc(meter: UsageMeter) -> None:
    for ended in (NOON, NOON + DAY_S / 2, NOON + DAY_S / 2 - 1):
        meter.add(replace(ANSWER, ended=ended))
    lines = usage_report(meter, ["day"]).lines
    assert [(line.by["day"], line.answers) for line in lines] == [
        (time.strftime("%Y-%m-%d", time.gmtime(NOON + DAY_S)), 1),
        (time.strftime("%Y-%m-%d", time.gmtime(NOON)), 2),
    ]
    assert not usage_report(meter, ["day"], last_days(1)).lines


def test_buckets_follow_each_other(meter: UsageMeter) -> None:
    for ended in (NOON + 5, NOON + 7200):
        meter.add(replace(ANSWER, ended=ended))
    wanted = WantedUsage(NOON, NOON + 4 * 3600)
    found = usage_buckets(meter, wanted, ["model"], 3600, 3)
    assert [sum(each.answers for each in bucket.sums) for bucket in found.buckets] == [1, 0, 1]
    assert found.next_start == NOON + 3 * 3600


def test_people_see_their_own_usage(meter: UsageMeter) -> None:
    meter.add(replace(ANSWER, owner="ana"))
    meter.add(replace(ANSWER, owner="ben"))
    with viewed_by(Viewer("ana", sees_all=False)):
        seen = usage_report(meter, ["user"])
    assert [line.by["user"] for line in seen.lines] == ["ana"]
    assert seen.total.answers == 1
    assert seen.own is None
    assert usage_report(meter).total.answers == 2


def test_wrong_groups_are_named(meter: UsageMeter) -> None:
    with pytest.raises(InvalidRequest, match="'planet' is none of day, model"):
        usage_report(meter, ["planet"])
    with pytest.raises(InvalidRequest, match="twice"):
        usage_report(meter, ["day", "day"])


def test_old_and_many_rows_go(tmp_path: Path) -> None:
    with closing(UsageStore(tmp_path, keep_days=1, keep_answers=3)) as store:
        now = time.time()
        store.add([replace(ANSWER, ended=now, model=f"m{number}") for number in range(5)])
        kept = [each.by["model"] for each in store.sums(WantedUsage(), ["model"])]
    assert kept == ["m2", "m3", "m4"]
    with closing(UsageStore(tmp_path, keep_days=1)) as store:
        store.add([replace(ANSWER, ended=now - 3 * DAY_S, model="old")])
        assert not [s for s in store.sums(WantedUsage(), ["model"]) if s.by["model"] == "old"]


def test_a_locked_database_loses_no_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("playground.lab.usage.meter.RETRY_S", 0.05)
    store = UsageStore(tmp_path, wait_s=0.05)
    with closing(UsageMeter(store, UsageSettings())) as meter:
        with closing(sqlite3.connect(tmp_path / "playground.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.perf_counter()
            for _ in range(20):
                meter.add(ANSWER)
            assert time.perf_counter() - began < 0.05  # no answer waits for the database
            assert not meter.flush(0.3)
            other.rollback()
        assert meter.flush()
        assert usage_report(meter).total.answers == 20
    assert caplog.text.count("usage waits for the database: the database is locked") == 1


@pytest.mark.slow
def test_two_processes_lose_no_count(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    with closing(UsageStore(tmp_path)) as store:
        kept = {each.by["model"]: each.answers for each in store.sums(WantedUsage(), ["model"])}
    assert kept == {"a": 50, "b": 50}


def test_report_cards_are_one_line(meter: UsageMeter) -> None:
    for _ in range(2):
        meter.add(replace(ANSWER, model=f"small:{temporary_name()}"))
    (line,) = usage_report(meter).lines
    assert line.by == {"model": "report cards"}
    assert line.answers == 2
    assert line.cost_usd == pytest.approx(2 * (600 * 1 + 400 * 0.5 + 101 * 3) / 1e6)
