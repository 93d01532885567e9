"""The public tasks that a recipe names: base and adapter are asked them for the report card.

They are loaded once before training, so that what is wrong is said then. lm-eval is imported only
where a recipe names tasks. Knows no job and no verdict.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from finetune.recipe import Recipe
from playground.errors import InvalidRequest, InvalidSettings
from playground.evaluation.harness.tasks import TaskChoice, Tasks, load_tasks, require_harness
from playground.evaluation.task_changes import TaskChange
from playground.protocol import AdapterBackend
from playground.store.evaluation_cache import EvaluationCache

FIELD = "recipe.eval_tasks"
BASE, ADAPTER = "base", "adapter"


def require_lm_eval(recipe: Recipe) -> None:
    """Raise `InvalidSettings` if the recipe names tasks and lm-eval is not installed."""
    if _choice(recipe):
        with _of_recipe():
            require_harness()


def check_public_tasks(recipe: Recipe, folders: Sequence[Path], context_length: int) -> None:
    """Load the recipe's tasks with their data, and check that their answers fit into the base's
    context. ``folders`` hold task files beside lm-eval's own.

    Raises `InvalidSettings` that names the task and what is wrong.
    """
    from playground.evaluation.harness.run import check_answers_fit

    choice = _choice(recipe, folders)
    if choice:
        with _of_recipe():
            check_answers_fit(load_tasks(choice), choice, recipe.base_model, context_length)


def ask_public_tasks(
    recipe: Recipe,
    folders: Sequence[Path],
    host: AdapterBackend,
    adapter: Path,
    home: Path,
    stop_event: threading.Event,
) -> tuple[TaskChange, ...]:
    """Ask ``host``'s base and the adapter the recipe's tasks; what either was asked before, with
    the same weights, is not asked again. Nothing if the recipe names none.

    Raises `InvalidSettings` that names the task, what the backend raises, and `EvaluationStopped`
    once the event is set.
    """
    choice = _choice(recipe, folders)
    if choice is None:
        return ()
    with _of_recipe():
        return _asked(choice, load_tasks(choice), host, adapter, home, stop_event)


def _asked(
    choice: TaskChoice,
    tasks: Tasks,
    host: AdapterBackend,
    adapter: Path,
    home: Path,
    stop_event: threading.Event,
) -> tuple[TaskChange, ...]:
    from playground.evaluation.harness.card import task_changes
    from playground.evaluation.harness.run import RunHooks, run_tasks
    from playground.evaluation.harness.scoring import weights_of
    from playground.evaluation.run import served  # imports torch

    hooks = RunHooks(stop_event)
    with served(host, (BASE, ADAPTER), [adapter]) as models:
        before, after = (
            run_tasks(tasks, choice, host, info, EvaluationCache(home, weights_of(info)), hooks)
            for info in (models[BASE], models[ADAPTER])
        )
    return task_changes(before, after)


def _choice(recipe: Recipe, folders: Sequence[Path] = ()) -> TaskChoice | None:
    """Return the tasks that the recipe names; None if it names none."""
    names = dict.fromkeys(name.strip() for name in recipe.eval_tasks.split(",") if name.strip())
    return TaskChoice(tuple(names), tuple(folders), recipe.eval_limit or None) if names else None


@contextmanager
def _of_recipe() -> Iterator[None]:
    """Name the recipe's field where a task is wrong."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidSettings(f"{FIELD}: {error.problem}") from error
