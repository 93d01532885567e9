import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.bench.peers import IN_PROCESS, Kind
from playground.bench.report import ONE_STEP, as_table
from playground.bench.run import MEASURES, chosen, run
from playground.bench.served import OURS_OVER_HTTP
from playground.errors import InvalidSettings
from playground.services import Services
from playground.settings import Settings
from tests.playground.api.serving import running

pytestmark = pytest.mark.slow

SYSTEMS = {"playground", OURS_OVER_HTTP, "generate", "continuous batching"}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@contextmanager
def served(backend: LocalBackend) -> Iterator[str]:
    with running(create_api(Services.create(backend, Settings()))) as url:
        yield url


def test_a_round_gives_every_system_a_figure_and_says_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("playground.bench.run.READ_BYTES", 2**24)
    said: list[str] = []
    absent = Kind("other", lambda: "is not on PATH", IN_PROCESS[0].start)
    report = run(
        "embedded",
        "fp32",
        rounds=1,
        peers=(*IN_PROCESS, absent),
        serve=served,
        measures=[ONE_STEP, "swap"],
        tell=said.append,
    )
    assert said == ["left out: other is not on PATH", "warmed up", "round 1 of 1"]
    one, swapped = report.lines
    assert set(one.medians) == set(report.over_floor()) == SYSTEMS
    assert set(swapped.medians) == {"playground"}
    assert all(value > 0 for line in report.lines for value in line.medians.values())
    assert json.loads(json.dumps(report.as_json()))["times_the_floor"].keys() == SYSTEMS
    assert as_table(report).row_count == 2 * len(SYSTEMS) + 1 + 3


def test_a_measure_that_is_none_is_refused_with_those_there_are() -> None:
    assert chosen([]) == MEASURES
    assert [each.name for each in chosen(["turn 10"])] == [
        "first token, turn 10",
        "first token, turn 10, no prefix",
    ]
    with pytest.raises(InvalidSettings, match=r"'nothing' is in none of: 1 stream"):
        chosen(["nothing"])
