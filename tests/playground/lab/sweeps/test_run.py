"""A sweep is asked once, graded, kept and resumed."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.errors import Conflict, InvalidRequest, RequestFailed, UnknownModel
from playground.lab.sweeps.definition import Sweep
from playground.lab.sweeps.reading import Sources, read_sweep
from playground.lab.sweeps.run import SweepStopped, run_sweep
from playground.protocol import ModelInfo, Priority, Provenance, Request
from playground.protocol.json_types import Json

ROWS: list[Json] = [{"input": str(number), "expected": str(number % 3)} for number in range(6)]
JUDGE: Json = {"type": "judge", "rubric": "The longer one."}


def sweep_of(*graders: Json, **changes: Json) -> Sweep:
    body: dict[str, Json] = {
        "prompts": [{"name": "a"}, {"name": "b", "system": "Again."}],
        "models": ["scripted"], "rows": ROWS, "graders": list(graders) or ["exact"],
    }  # fmt: skip
    return read_sweep(body | changes, Sources())


class Asked:
    """A script that remembers what it was asked, and fails or stops where it is told."""

    def __init__(self, fails: str = "", stop: threading.Event | None = None) -> None:
        self.requests: list[Request] = []
        self.fails = fails
        self.stop = stop

    def __call__(self, request: Request) -> Iterable[str]:
        self.requests.append(request)
        text = request.messages[-1].content
        if text == self.fails:
            if self.stop:
                self.stop.set()
            raise RequestFailed("out of luck")
        return [text]


async def test_each_cell_is_asked_each_row(tmp_path: Path) -> None:
    asked = Asked()
    done: list[tuple[int, int]] = []
    result = await run_sweep(
        ScriptedBackend(asked), sweep_of(), tmp_path / "a", None, lambda *n: done.append(n)
    )
    assert len(asked.requests) == 12
    assert {request.priority for request in asked.requests} == {Priority.BATCH}
    assert done[-1] == (12, 12)
    scores = [result.score(answer) for answer in result.of_cell(1)]
    assert scores == [1, 1, 1, 0, 0, 0]


async def test_kept_answers_are_not_asked_again(tmp_path: Path) -> None:
    path, sweep = tmp_path / "a", sweep_of()
    whole = await run_sweep(ScriptedBackend(Asked()), sweep, path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + lines[5][:20])  # killed while it wrote
    asked = Asked()
    again = await run_sweep(ScriptedBackend(asked), sweep, path)
    assert len(asked.requests) == 8
    assert {key: kept.text for key, kept in again.answers.items()} == {
        key: kept.text for key, kept in whole.answers.items()
    }


async def test_failed_request_is_an_answer(tmp_path: Path) -> None:
    sweep = sweep_of()
    result = await run_sweep(ScriptedBackend(Asked("2")), sweep, tmp_path / "a")
    failed = result.answers[0, 2]
    assert (failed.error, failed.scores) == ("out of luck", {"exact": 0.0})
    asked = Asked()
    await run_sweep(ScriptedBackend(asked), sweep, tmp_path / "a")
    assert [request.messages[-1].content for request in asked.requests] == ["2", "2"]


async def test_stopped_sweep_keeps_answers(tmp_path: Path) -> None:
    stop = threading.Event()
    backend = ScriptedBackend(Asked("5", stop), pause_s=0.01)
    with pytest.raises(SweepStopped):
        await run_sweep(backend, sweep_of(settings={"seed": list(range(30))}), tmp_path / "a", stop)
    kept = (tmp_path / "a").read_text().splitlines()
    assert 1 < len(kept) < 361


async def test_other_weights_refuse_resuming(tmp_path: Path) -> None:
    def backend(adapter_hash: str) -> ScriptedBackend:
        provenance = Provenance("base", adapter="x", adapter_hash=adapter_hash)
        info = ModelInfo("scripted", context_length=99, provenance=provenance)
        return ScriptedBackend(Asked(), models=(info,))

    await run_sweep(backend("one"), sweep_of(), tmp_path / "a")
    with pytest.raises(Conflict, match="scripted stands for other weights"):
        await run_sweep(backend("two"), sweep_of(), tmp_path / "a")


async def test_unknown_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="nobody"):
        await run_sweep(ScriptedBackend(Asked()), sweep_of(models="nobody"), tmp_path / "a")


async def test_judge_sees_both_orders(tmp_path: Path) -> None:
    orders: list[str] = []

    def script(request: Request) -> Iterable[str]:
        if "rubric" not in request.messages[0].content:
            system = request.messages[0].content == "Again."
            return ["a longer answer" if system else "short"]
        orders.append(request.messages[-1].content.split("Answer A:\n")[1][:5])
        first = request.messages[-1].content.split("Answer A:\n")[1]
        return ['{"better": "A"}' if first.startswith("a longer") else '{"better": "B"}']

    rows: list[Json] = [{"input": "x"}]
    result = await run_sweep(ScriptedBackend(script), sweep_of(JUDGE, rows=rows), tmp_path / "a")
    assert [result.answers[cell, 0].scores["judge"] for cell in (0, 1)] == [0.5, 1.0]
    assert sorted(orders) == ["a lon", "short"]


async def test_rubric_scores_by_model(tmp_path: Path) -> None:
    def script(request: Request) -> Iterable[str]:
        return ['{"score": 7}' if "rubric" in request.messages[0].content else "x"]

    rubric: Json = {"type": "rubric", "rubric": "Good?"}
    result = await run_sweep(ScriptedBackend(script), sweep_of(rubric), tmp_path / "a")
    assert result.answers[0, 0].scores == {"rubric": 0.7}


@pytest.mark.slow
async def test_result_counts_and_compares(tmp_path: Path) -> None:
    def script(request: Request) -> Iterable[str]:
        number = int(request.messages[-1].content)
        return [str(number % 3) if len(request.messages) > 1 else "?"]

    sweep = sweep_of(price={"input": 1, "output": 1000})
    result = await run_sweep(ScriptedBackend(script), sweep, tmp_path / "a")
    body = json.loads(json.dumps(result.as_json()))
    assert [cell["passed"] for cell in body["cells"]] == [0, 6]
    assert body["cells"][1]["score"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "rows": 6}
    tokens = body["cells"][1]["prompt_tokens"]
    assert body["cells"][1]["cost_usd"] == pytest.approx((tokens + 6000) / 1e6)
    (comparison,) = body["comparisons"]
    assert (comparison["better"], comparison["p_value"]) == (6, pytest.approx(2 / 64, abs=1e-5))
    with pytest.raises(InvalidRequest, match="2 is none of 0 to 1"):
        result.compare(2, 0)


async def test_worst_answers_become_training_rows(tmp_path: Path) -> None:
    rows: list[Json] = [{"input": "1", "expected": "2"}, {"input": "3"}]
    graders: list[Json] = [{"type": "regex", "pattern": "^[25]$"}]
    result = await run_sweep(
        ScriptedBackend(Asked()), sweep_of(*graders, rows=rows), tmp_path / "a"
    )
    made, without = result.training_rows(1, 10)
    assert without == 1
    assert made == [
        {
            "messages": [
                {"role": "system", "content": "Again."},
                {"role": "user", "content": "1"},
                {"role": "assistant", "content": "2"},
            ]
        }
    ]


@pytest.mark.slow
async def test_embedded_model_answers_sweeps(tmp_path: Path, backend: LocalBackend) -> None:
    rows: list[Json] = [
        {"input": f"What is the capital of {country}?", "expected": city}
        for country, city in (("France", "Paris"), ("Italy", "Rome"), ("Japan", "Tokyo"))
    ]
    sweep = sweep_of("contains", models="embedded", rows=rows, settings={"max_tokens": 24})
    result = await run_sweep(backend, sweep, tmp_path / "a")
    first = [result.answers[0, row] for row in range(3)]
    assert [answer.scores["contains"] for answer in first] == [1, 1, 1]
    assert all(answer.completion_tokens > 1 and answer.ms > 0 for answer in first)
