"""Sweeps of a server: jobs that are stopped, resumed, deleted, and outlive the server."""

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from playground.backends.scripted import ScriptedBackend
from playground.errors import Conflict, EngineStopped, InvalidSettings, UnknownModel, UnknownSweep
from playground.lab.sweeps.sweeps import Sweeps, named_expressions
from playground.protocol import Request
from playground.protocol.json_types import JsonObject

BODY: JsonObject = {
    "name": "echo", "models": ["scripted"], "graders": ["exact"],
    "rows": [{"input": str(number), "expected": str(number)} for number in range(40)],
    "settings": {"temperature": [0, 1]},
}  # fmt: skip
WAIT_S = 60


class Gate:
    """Answers a few requests, and lets the others wait until it is opened."""

    def __init__(self, first: int = 10) -> None:
        self.first = first
        self.asked = 0
        self.reached = threading.Event()
        self.open = threading.Event()
        self.ends = False

    def __call__(self, request: Request) -> Iterable[str]:
        self.asked += 1
        if self.asked > self.first and not self.open.is_set():
            self.reached.set()
            if self.ends:
                raise EngineStopped("the engine ended")
            for _ in range(10_000):
                yield ""
                if self.open.is_set():
                    break
        yield request.messages[-1].content


async def test_sweep_ends_with_a_result(tmp_path: Path) -> None:
    gate = Gate(1000)
    with Sweeps(tmp_path, ScriptedBackend(gate)) as sweeps:
        started = await sweeps.start(sweeps.read(BODY))
        done = sweeps.wait(started.id, WAIT_S)
        assert (done.state, done.progress, done.message) == ("done", (80, 80), "")
        assert [each.id for each in sweeps.list()] == [started.id]
        file = sweeps.result_file(started.id)
        assert file is not None
        assert sweeps.result(started.id).as_json()["done"] == 80
        sweeps.delete(started.id)
        with pytest.raises(UnknownSweep, match="no sweep"):
            sweeps.snapshot(started.id)


async def test_stopped_sweep_is_resumed(tmp_path: Path) -> None:
    gate = Gate()
    with Sweeps(tmp_path, ScriptedBackend(gate, pause_s=0.01)) as sweeps:
        started = await sweeps.start(sweeps.read(BODY))
        assert gate.reached.wait(WAIT_S)
        sweeps.stop(started.id)
        assert sweeps.wait(started.id, WAIT_S).state == "stopped"
        kept = len(sweeps.result(started.id).answers)
        assert 0 < kept < 80
        asked = gate.asked
        gate.open.set()
        sweeps.resume(started.id)
        assert sweeps.wait(started.id, WAIT_S).state == "done"
        assert gate.asked - asked == 80 - kept
        with pytest.raises(Conflict, match="is done"):
            sweeps.resume(started.id)


@pytest.mark.parametrize("ends", [False, True], ids=["closed", "engine first"])
async def test_sweep_outlives_its_server(tmp_path: Path, ends: bool) -> None:
    gate = Gate(45 if ends else 10)  # others are cancelled at once where the engine ends
    gate.ends = ends
    with Sweeps(tmp_path, ScriptedBackend(gate, pause_s=0.01)) as sweeps:
        started = await sweeps.start(sweeps.read(BODY))
        assert gate.reached.wait(WAIT_S)
    asked, kept = Gate(1000), 0
    with Sweeps(tmp_path, ScriptedBackend(asked)) as again:
        done = again.wait(started.id, WAIT_S)
        assert done.state == "done"
        kept = 80 - asked.asked
    assert kept > 0


async def test_unknown_model_begins_nothing(tmp_path: Path) -> None:
    with Sweeps(tmp_path, ScriptedBackend(Gate())) as sweeps:
        sweep = sweeps.read(BODY | {"models": ["nobody"]})
        with pytest.raises(UnknownModel, match="nobody"):
            await sweeps.start(sweep)
        assert sweeps.list() == ()


async def test_second_server_says_why_not(tmp_path: Path) -> None:
    with Sweeps(tmp_path, ScriptedBackend(Gate())):
        second = Sweeps(tmp_path, ScriptedBackend(Gate()))
        with second, pytest.raises(Conflict, match="another server"):
            await second.start(second.read(BODY))


@pytest.mark.parametrize(
    ("value", "error"),
    [("len(output)", "is not NAME=EXPRESSION"), ("short=len(", "short: ")],
)
def test_wrong_expression_is_named(value: str, error: str) -> None:
    with pytest.raises(InvalidSettings, match=error):
        named_expressions([value])
