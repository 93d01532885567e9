"""Few of lm-eval's own task files are parsed, and a name means what it means among all of them."""

from collections.abc import Mapping
from pathlib import Path

import lm_eval.tasks
import pytest
from lm_eval.tasks import TaskManager

from playground.evaluation.harness import tasks
from playground.evaluation.harness.task_files import TaskFiles
from playground.evaluation.harness.tasks import TaskChoice, list_tasks

FILES: Mapping[str, str] = {
    "sums/one.yaml": "task: sums_one\n",
    "sums/two.yaml": "task: sums_two\ntag: sums\n",
    "sums/group.yaml": "group: all_sums\ntask: [sums, {group: more, task: [far_sums]}]\n",
    "sums/base": "tag: sums_of_base\n",
    "far/sums.yaml": '"task": "far_sums"\ninclude: ../sums/base\n',
    "far/again.yaml": "task: sums_one\ntag: spread\n",
    "other/words.yaml": "task: words\ntag: [spread, wordy]\n",
    "other/sums_ones.yaml": "task: sums_ones\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few tasks in place of lm-eval's own."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    module = tmp_path / "manager.py"
    monkeypatch.setattr("lm_eval.tasks.manager.__file__", str(module))
    monkeypatch.setattr(lm_eval.tasks, "__file__", str(module))
    return tmp_path


def meaning(name: str, manager: TaskManager) -> object:
    entry = manager.task_index[name]
    below = [meaning(each, manager) for each in tasks._members(name, manager)]
    return entry.yaml_path, entry.cfg, below


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("words", {"other"}),
        ("sums_one", {"far", "sums"}),
        ("all_sums", {"far", "sums"}),
        ("sums_of_base", {"far", "other", "sums"}),
        ("wordy", {"other"}),
        ("spread", {"far", "other", "sums"}),
    ],
)
def test_folders_with_a_name_suffice(name: str, parsed: set[str], root: Path) -> None:
    found = list_tasks(TaskChoice((name,)), TaskFiles(root))
    assert meaning(name, found) == meaning(name, TaskManager())
    paths = [entry.yaml_path for entry in found.task_index.values() if entry.yaml_path]
    assert {path.parent.name for path in paths if path.is_relative_to(root)} == parsed


def test_pattern_is_matched_everywhere(root: Path) -> None:
    found = list_tasks(TaskChoice(("*sums*",)), TaskFiles(root))
    assert found.match_tasks(["*sums*"]) == TaskManager().match_tasks(["*sums*"])


def test_all_names_are_known_to_hints(root: Path) -> None:
    assert {"all_sums", "far_sums", "spread", "sums_one", "words"} <= set(TaskFiles(root).names)
