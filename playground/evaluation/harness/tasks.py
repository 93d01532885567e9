"""Tasks of lm-eval by name, loaded with their data: its own, ours, and those of folders.

What is wrong is said in a line with the task's name. Knows no backend.
"""

import difflib
import logging
import os
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from playground.errors import InvalidRequest
from playground.evaluation.harness.task_files import TaskFiles

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

OUR_TASKS = Path(__file__).parent / "groups"
EXTRA: Final = "pip install 'mistral-playground[eval]'"
MAX_MESSAGE = 300
FIRST_SEED = 1234
"""lm-eval's seed for drawing worked examples."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """Loaded tasks and groups. ``names`` are those that were asked for, patterns filled in.

    ``tasks`` and ``groups`` are lm-eval's objects by name, ``children`` the names in a group.
    """

    names: tuple[str, ...]
    tasks: Mapping[str, Any]
    groups: Mapping[str, Any]
    children: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """Which tasks, and how they are asked. ``folders`` hold task files beside lm-eval's own;
    ``unsafe_code`` lets tasks run code that the model wrote. ``limit`` is rows of each task."""

    names: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    limit: int | None = None
    num_fewshot: int | None = None
    apply_chat_template: bool = False
    unsafe_code: bool = False
    seed: int = FIRST_SEED


def require_harness() -> None:
    """Raises `InvalidRequest` if lm-eval is not installed."""
    if find_spec("lm_eval") is None:
        raise InvalidRequest("tasks", f"lm-eval is not installed: {EXTRA}")


def load_tasks(choice: TaskChoice) -> Tasks:
    """Load tasks with their data, which may be fetched from the hub.

    Raises `InvalidRequest` that names the task: unknown, without data, not for text, or one that
    runs code that nobody allowed.
    """
    require_harness()
    _quiet()
    import lm_eval.tasks

    for folder in choice.folders:
        if not folder.is_dir():
            raise InvalidRequest("include_path", f"{folder} is no folder")
    files = TaskFiles(Path(lm_eval.tasks.__file__).parent)
    manager = list_tasks(choice, files)
    names = tuple(dict.fromkeys(_matched(choice.names, manager, files)))
    for name in names:
        _check_code(name, manager, allowed=choice.unsafe_code)
    if choice.unsafe_code:
        os.environ.setdefault("HF_ALLOW_CODE_EVAL", "1")  # of the library that runs it
    random.seed(choice.seed)
    tasks: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    children: dict[str, Sequence[str]] = {}
    for name in names:
        loaded = _load(name, manager)
        tasks |= loaded["tasks"]
        groups |= loaded.get("groups", {})
        children |= loaded.get("group_map", {})
        if name not in loaded["tasks"] and name not in children:  # a tag
            children[name] = list(loaded["tasks"])
    for name, task in tasks.items():
        _prepare(name, task, choice)
    return Tasks(names, tasks, groups, children)


def list_tasks(choice: TaskChoice, files: TaskFiles) -> "TaskManager":
    """List the tasks of the given folders and, of lm-eval's own, as few as have the names."""
    from lm_eval.tasks import TaskManager

    own = [OUR_TASKS, *choice.folders]
    manager = TaskManager(include_path=[*map(str, own)], include_defaults=False)
    looked_for: set[str] = set()
    while missing := set(_missing(choice.names, manager)) - looked_for:
        looked_for |= missing
        folders = files.folders_of(looked_for)[::-1]  # of two of a name the first one's counts
        paths = [str(path) for path in (*folders, *own)]
        manager = TaskManager(include_path=paths, include_defaults=False)
    if any(_may_be_anywhere(name, manager, files) for name in looked_for):
        return TaskManager(include_path=[*map(str, own)])
    return manager


def _may_be_anywhere(name: str, manager: "TaskManager", files: TaskFiles) -> bool:
    """Whether this is a pattern, or a tag in several folders, of which one would hide others."""
    if any(character in name for character in "*?["):
        return True
    entry = manager.task_index.get(name)
    return entry is not None and entry.yaml_path is None and len(files.folders_of([name])) > 1


def _missing(names: Iterable[str], manager: "TaskManager") -> Iterator[str]:
    """Yield which of these names, and of those that their groups name, are not listed."""
    for name in names:
        found = manager.match_tasks([name])
        if not found:
            yield name
        for each in found:
            yield from _missing(_members(each, manager), manager)


def _members(name: str, manager: "TaskManager") -> list[str]:
    """Return the names in a group, or of the tasks with a tag; none of a task."""
    entry = manager.task_index.get(name)
    if entry is None:
        return []
    if entry.yaml_path is None:
        return sorted(entry.tags)
    config = entry.cfg or {}
    return list(_named(config["task"])) if "group" in config else []


def _named(members: object) -> Iterator[str]:
    """Yield the names that a group's file has: alone, with changes, or in groups within it."""
    for each in members if isinstance(members, list) else [members]:
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            yield from _named(each.get("task"))


def _matched(names: Iterable[str], manager: "TaskManager", files: TaskFiles) -> Iterator[str]:
    for name in names:
        found = manager.match_tasks([name])
        if not found:
            close = difflib.get_close_matches(name, {*manager.all_tasks, *files.names}, 3)
            hint = f"; did you mean {', '.join(close)}?" if close else ""
            raise InvalidRequest("tasks", f"there is no task {name!r}{hint}")
        yield from found


def _check_code(name: str, manager: "TaskManager", *, allowed: bool) -> None:
    """Look at a task's file before anything of it is imported."""
    if allowed:
        return
    entry = manager.task_index.get(name)
    config = (entry.cfg or {}) if entry else {}
    if config.get("unsafe_code"):
        raise InvalidRequest(
            "tasks",
            f"{name} runs code that the model writes, on this machine; "
            "allow it with `playground eval --confirm-run-unsafe-code`",
        )
    for member in _members(name, manager):
        _check_code(member, manager, allowed=allowed)


def _load(name: str, manager: "TaskManager") -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = manager.load([name])
    except Exception as error:
        raise InvalidRequest("tasks", f"{name}: {_problem(error)}") from error
    return loaded


def _prepare(name: str, task: Any, choice: TaskChoice) -> None:
    """Set how many worked examples precede a row; a task that is written for none keeps that."""
    if getattr(task, "MULTIMODAL", False):
        raise InvalidRequest("tasks", f"{name} asks about images or sound; only text is asked here")
    given = task.get_config("num_fewshot")
    if choice.num_fewshot is not None and given != 0:
        task.set_config(key="num_fewshot", value=choice.num_fewshot)
    elif given is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=choice.seed)


def _problem(error: BaseException) -> str:
    """Return an error in a line; without a network, that."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    if any(isinstance(each, (ConnectionError, LocalEntryNotFoundError)) for each in chain):
        return "its data are not on this disk, and no network reaches the hub to fetch them"
    for each in chain:
        if isinstance(each, ImportError) and each.name:
            return f"it needs the package {each.name}: {EXTRA}"
    return one_line(chain[0])


def one_line(error: BaseException) -> str:
    """Return an error's first line with its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return f"{type(error).__name__}: {text}"[:MAX_MESSAGE] if text else type(error).__name__


def _quiet() -> None:
    """Turn off progress bars and notes that nobody here reads."""
    import datasets
    import lm_eval.api.metrics as metrics_module
    import lm_eval.api.task as task_module

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    task_module.tqdm = partial(task_module.tqdm, disable=True)
    metrics_module.bootstrap_stderr = _bootstrap_stderr


def _bootstrap_stderr(
    figure: Callable[[Sequence[object]], float], rows: Sequence[object], iters: int
) -> float:
    """Return lm-eval's own without its processes and prints."""
    drawn = random.Random(0)
    return statistics.stdev(float(figure(drawn.choices(rows, k=len(rows)))) for _ in range(iters))
