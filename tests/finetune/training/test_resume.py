"""A run that is stopped or killed goes on, and ends as if nothing had happened."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from finetune.cli import main
from finetune.recipe import embedded_cpu, recipe_yaml
from finetune.training.checkpoints import checkpoints, last_complete, problem_of, step_of
from playground.studio.runs import find_run, list_runs
from tests.processes import RunningProcess, in_a_process

LONG_S = 300
pytestmark = pytest.mark.training

RECIPE = replace(
    embedded_cpu(),
    max_steps=10,
    micro_batch_size=4,
    save_steps=2,
    lora_dropout=0.1,
    replay_fraction=0.2,
    eval_steps=4,
)
WEIGHTS = "adapter_model.safetensors"


def rows_file(folder: Path) -> Path:
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"What does item {at} cost?"},
                {"role": "assistant", "content": f"Item {at} costs {at * 7 % 50} euros."},
            ]
        }
        for at in range(40)
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def finetune(*arguments: str) -> None:
    """The command in its process."""
    sys.argv = ["finetune", *arguments]
    main()


def start(home: Path, *arguments: str) -> RunningProcess:
    return in_a_process(finetune, *arguments, environment={"PLAYGROUND_HOME": str(home)})


def end(process: RunningProcess) -> str:
    """Wait for a command that succeeds; returns what it printed."""
    assert process.wait(LONG_S) == 0, process.output()
    return process.output()


def train_command(home: Path) -> tuple[str, ...]:
    recipe = home / "recipe.yaml"
    recipe.write_text(recipe_yaml(RECIPE))
    rows = rows_file(home)
    return ("train", str(rows), "--name", "prices", "-r", str(recipe), "--eval-fraction", "0.2",
            *into(home))  # fmt: skip


def into(home: Path) -> tuple[str, str]:
    """Where the adapter goes: not into the store, which would make a report card."""
    return ("--out", str(home / "out"))


def wait_for_step(home: Path, step: int, process: RunningProcess) -> None:
    while not any(step_of(c) >= step for c in home.glob("runs/*/checkpoints/checkpoint-*")):
        assert process.wait(0.01) is None, process.output()


def logs(home: Path) -> list[tuple[int, float]]:
    (run,) = list_runs(home)
    lines = map(json.loads, (run.folder / "metrics.jsonl").read_text().splitlines())
    return [
        (line["step"], line.get("loss", line.get("eval_loss")))
        for line in lines
        if ("loss" in line or "eval_loss" in line) and not line.get("done")
    ]


@pytest.fixture
def home(new_home: Callable[[], Path]) -> Path:
    return new_home()


@pytest.fixture(scope="module")
def whole(new_home: Callable[[], Path]) -> Path:
    home = new_home()
    end(start(home, *train_command(home)))
    return home


@pytest.mark.slow
def test_killed_run_resumes_exactly_in_one_process(whole: Path, home: Path) -> None:
    process = start(home, *train_command(home))
    wait_for_step(home, 4, process)
    process.hold()  # it must not end before the second one begins
    second = start(home, "resume", "prices")
    assert second.wait(LONG_S) == 1
    assert f"trains run {find_run(home, 'prices').folder.name}" in second.output()
    assert process.exit_code is None
    process.kill()
    end(start(home, "resume", "prices", *into(home)))
    assert logs(home) == logs(whole)
    ours, theirs = (each / "out" / WEIGHTS for each in (home, whole))
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_sigterm_saves_a_checkpoint(home: Path) -> None:
    process = start(home, *train_command(home))
    wait_for_step(home, 2, process)
    process.terminate()
    output = end(process)
    assert "go on: finetune resume" in output
    run = find_run(home, "prices")
    found = last_complete(run.folder / "checkpoints")
    assert found is not None
    assert f"stopped after step {step_of(found)}" in output
    assert run.adapter is None


@pytest.mark.slow
def test_rerun_gives_same_adapter(whole: Path) -> None:
    end(start(whole, "rerun", "prices", "--out", str(whole / "again")))
    first = load_file(whole / "out" / WEIGHTS)
    second = load_file(whole / "again" / WEIGHTS)
    assert all((first[name] == second[name]).all() for name in first)
    newest = list_runs(whole)[0]
    assert newest.state == "finished"
    (newest.folder / "run.json").unlink()  # other tests look at the first run


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["trainer_state.json", WEIGHTS, "optimizer.pt", "rng_state.pth", "scheduler.pt"]
)
def test_damaged_checkpoint_is_skipped(whole: Path, tmp_path: Path, name: str) -> None:
    (run,) = list_runs(whole)
    source = run.folder / "checkpoints"
    for checkpoint in checkpoints(source)[-2:]:
        target = tmp_path / checkpoint.name
        target.mkdir()
        for path in checkpoint.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    earlier, latest = checkpoints(tmp_path)
    assert last_complete(tmp_path) == latest
    content = (latest / name).read_bytes()
    (latest / name).write_bytes(content[: len(content) // 2])
    assert problem_of(latest)
    assert last_complete(tmp_path) == earlier
