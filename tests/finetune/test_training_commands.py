"""`finetune train` and `evaluate`: nothing is promoted without a card that says so."""

import io
import json
import shutil
import threading
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from finetune.commands.common import FAILED_RUN
from playground.evaluation.harness import tasks
from playground.evaluation.report_card import ReportCard
from playground.store.adapters import AdapterStore, Version
from playground.studio import training_work
from playground.studio.run_lock import training_lock
from playground.studio.runs import list_runs
from tests.conftest import write_catalogue
from tests.finetune.test_adapter_commands import finetune

pytestmark = pytest.mark.slow
STEPS = ("--set", "max_steps=2", "--set", "replay_fraction=0.0")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(training_work, "MAX_JUDGED_ROWS", 2)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home of a trained adapter, desk, to be copied; and what its training printed."""
    folder = tmp_path_factory.mktemp("trained")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setenv("PLAYGROUND_HOME", str(folder / "home"))
        patch.setattr(training_work, "MAX_JUDGED_ROWS", 2)
        assert finetune("train", write_catalogue(folder), "--name", "desk", *STEPS) == 0
    return folder / "home", printed.getvalue()


@pytest.fixture
def desk(home: Path, trained: tuple[Path, str]) -> Path:
    """A home that has it."""
    return Path(shutil.copytree(trained[0], home))


@pytest.fixture
def general(tmp_path: Path) -> Path:
    path = tmp_path / "general.jsonl"
    path.write_text(json.dumps({"prompt": "What is 2 + 3?", "completion": "5"}))
    return path


def only_version(home: Path) -> Version:
    (version,) = AdapterStore(home / "adapters").versions("desk")
    return version


def card_of(version: Version) -> dict[str, object]:
    card = json.loads((version.folder / "report-card.json").read_text())
    assert isinstance(card, dict)
    return card


@pytest.mark.training
def test_train_without_held_out_rows_not_promoted(trained: tuple[Path, str]) -> None:
    home, printed = trained
    assert not only_version(home).promoted
    assert "not promoted; to do it all the same: finetune promote desk v1" in printed


@pytest.mark.training
def test_card_lies_beside_version(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = only_version(desk)
    assert card_of(version)["verdict"] == version.verdict
    monkeypatch.setenv("COLUMNS", "200")
    finetune("list")
    assert version.verdict in capsys.readouterr().out


@pytest.mark.training
@pytest.mark.parametrize(("verdict", "promoted"), [("promote", True), ("do not promote", False)])
def test_train_promotes_by_card(
    verdict: str, promoted: bool, home: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object) -> tuple[ReportCard, dict[str, Path]]:
        return ReportCard(("base", "desk"), (), verdict, ()), {}  # type: ignore[arg-type]

    monkeypatch.setattr(training_work, "make_run_card", made)
    finetune("train", catalogue, "--name", "desk", *STEPS)
    assert only_version(home).promoted == promoted


@pytest.mark.training
def test_evaluate_names_trained_rows(desk: Path, catalogue: Path, general: Path) -> None:
    arguments = ("--data", catalogue, "--regression", general)
    assert finetune("evaluate", "desk", *arguments) == 0
    card = card_of(only_version(desk))
    assert card["parts"][0]["name"] == "Training rows"  # type: ignore[index]
    assert card["verdict"] != "promote"
    assert "trained on all of these rows" in str(card["reasons"])


@pytest.mark.training
def test_evaluate_leaves_trained_rows_out(desk: Path, catalogue: Path, general: Path) -> None:
    more = catalogue.with_name("more.jsonl")
    own = json.dumps({"prompt": "Who is there?", "completion": "A moth."})
    more.write_text(catalogue.read_text() + own + "\n")
    assert finetune("evaluate", "desk", "--data", more, "--regression", general) == 0
    card = card_of(only_version(desk))
    part = card["parts"][0]  # type: ignore[index]
    assert (part["name"], part["rows"]) == ("Held-out rows", 1)
    assert "4 rows are left out, as it was trained on them" in card["reasons"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "problem"),
    [((), "lm-eval is not installed: pip install"), (("--out", "desk"), "--out makes no report")],
)
def test_tasks_refused_before_training(
    options: tuple[str, ...],
    problem: str,
    home: Path,
    catalogue: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "find_spec", lambda _name: None)
    asked = ("train", catalogue, "--name", "desk", "--set", "eval_tasks=gsm8k")
    assert finetune(*asked, *options) == 1
    assert f"recipe.eval_tasks: {problem}" in capsys.readouterr().err
    assert list_runs(home) == []


def test_judge_metric_needs_judge(
    home: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune("evaluate", "desk", "--data", catalogue, "--metric", "judge") == 1
    assert "the metric judge needs a judge: say with --judge" in capsys.readouterr().err


def test_failed_start_leaves_no_run(
    home: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ("--set", "target_modules=query")
    assert finetune("train", catalogue, "--name", "desk", *STEPS, *wrong) == 1
    printed = capsys.readouterr()
    assert "no linear module query" in printed.err
    assert "resume" not in printed.out + printed.err
    assert list_runs(home) == []


def test_crash_before_first_step_leaves_no_run(
    home: Path,
    catalogue: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of no use")

    monkeypatch.setattr("finetune.training.train.train", crash)
    assert finetune("train", catalogue, "--name", "desk", *STEPS) == FAILED_RUN
    printed = capsys.readouterr()
    assert "ZeroDivisionError: of no use" in printed.err
    assert "resume" not in printed.out + printed.err
    assert list_runs(home) == []


def test_train_beside_training_refused(
    home: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = home / "runs" / "other"
    other.mkdir(parents=True)
    with training_lock(other, home / "runs", threading.Event()):
        assert finetune("train", catalogue, "--name", "desk", *STEPS) == 1
    assert "trains run other" in capsys.readouterr().err
    assert list_runs(home) == []
