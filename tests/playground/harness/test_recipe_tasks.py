"""Public tasks that a recipe names: refused before training, on the report card after it."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.recipe import embedded_cpu
from playground.backends.local import LocalBackend
from playground.errors import InvalidSettings
from playground.evaluation.report_card import EvaluationStopped
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.store.adapters import AdapterStore
from playground.studio import training_work
from playground.studio.public_tasks import ask_public_tasks, check_public_tasks
from playground.studio.runs import list_runs
from playground.studio.studio import Studio
from tests.finetune.test_adapter_commands import finetune

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
RECIPE = replace(
    embedded_cpu(), max_steps=2, replay_fraction=0.0, eval_tasks="capital_choice", eval_limit=4
)
WAIT_S = 240


@pytest.fixture
def folders(task_folder: Path, tmp_path: Path) -> list[Path]:
    """The tasks, and one whose data are not there."""
    broken = tmp_path / "tasks"
    broken.mkdir()
    text = (task_folder / "capital_choice.yaml").read_text()
    text = text.replace("capital_choice", "broken").replace("capitals.jsonl", "missing.jsonl")
    (broken / "broken.yaml").write_text(text)
    return [task_folder, broken]


@pytest.fixture(scope="module")
def host() -> Iterator[LocalBackend]:
    with LocalBackend(load(ModelSpec("embedded"))) as running:
        yield running


def test_base_and_adapter_are_asked_once(
    host: LocalBackend, task_folder: Path, trained_adapter: Path, tmp_path: Path
) -> None:
    def kept() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "evaluations").iterdir()}

    asked = (RECIPE, [task_folder], host, trained_adapter, tmp_path, threading.Event())
    first = ask_public_tasks(*asked)
    assert [(each.task, each.metric, each.rows) for each in first] == [
        ("capital_choice", "acc", 4), ("capital_choice", "acc_norm", 4),
    ]  # fmt: skip
    before = kept()
    assert len(before) == 2  # a file for each set of weights
    assert ask_public_tasks(*asked) == first
    assert kept() == before
    stop = threading.Event()
    stop.set()
    with pytest.raises(EvaluationStopped):
        ask_public_tasks(RECIPE, [task_folder], host, trained_adapter, tmp_path / "new", stop)


def test_wrong_task_is_named(task_folder: Path) -> None:
    recipe = replace(RECIPE, eval_tasks="capital_text")
    problem = "^recipe.eval_tasks: capital_text: its answers may have 12 tokens, .* context of 12$"
    with pytest.raises(InvalidSettings, match=problem):
        check_public_tasks(recipe, [task_folder], 12)


@pytest.mark.training
def test_command_puts_tasks_on_the_card(
    folders: list[Path],
    catalogue: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(training_work, "MAX_JUDGED_ROWS", 2)
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    monkeypatch.setenv("PLAYGROUND_SWEEPS__TASK_FOLDERS", json.dumps(list(map(str, folders))))
    rows = (catalogue, "--name", "desk", "--set", "max_steps=2", "--set", "replay_fraction=0.0")
    assert finetune("train", *rows, "--set", "eval_tasks=broken") == 1
    assert "recipe.eval_tasks: broken: " in capsys.readouterr().err
    assert list_runs(tmp_path) == []
    tasks = ("--set", "eval_tasks=capital_choice", "--set", "eval_limit=4")
    assert finetune("train", *rows, *tasks) == 0
    assert "capital_choice (acc): " in capsys.readouterr().out
    (version,) = AdapterStore(tmp_path / "adapters").versions("desk")
    card = json.loads((version.folder / "report-card.json").read_text())
    assert [task["metric"] for task in card["tasks"]] == ["acc", "acc_norm"]


@pytest.mark.training
def test_job_puts_tasks_on_the_card(
    host: LocalBackend, folders: list[Path], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "The capital of France is Lyon."}\n' * 4)
    recipes = (replace(RECIPE, eval_tasks="broken"), RECIPE)
    with Studio(tmp_path, host.loaded, host, judged_rows=2, task_folders=folders) as studio:
        failed, done = (
            studio.jobs.wait(studio.train("desk", recipe, [rows]).id, WAIT_S) for recipe in recipes
        )
        assert (failed.state, failed.progress.done) == ("failed", 0)
        assert "recipe.eval_tasks: broken: " in failed.message
        assert done.state == "done", done.message
        assert any(note.startswith("public tasks: ") for note in done.notes)
        card = json.loads(studio.training_job(done.id).report_card["json"].read_text())
    assert (card["parts"], card["verdict"]) == ([], "look closer")  # rows of text have no answers
    assert card["tasks"][0]["task"] == "capital_choice"
