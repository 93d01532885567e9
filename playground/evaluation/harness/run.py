"""Runs lm-eval's tasks on one model of a backend, and says what came of them.

Called from a thread without an event loop. Knows no page, no file and no HTTP.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from playground.errors import InvalidRequest, PlaygroundError
from playground.evaluation.harness.results import HarnessResult, read_results
from playground.evaluation.harness.scoring import Scorer
from playground.evaluation.harness.tasks import TaskChoice, Tasks, one_line
from playground.evaluation.report_card import EvaluationStopped
from playground.protocol import Backend, ModelInfo
from playground.store.evaluation_cache import EvaluationCache

BOOTSTRAP_SAMPLES: Final = 1000
"""For the standard errors that have no formula."""
LIKELIHOODS: Final = ("loglikelihood", "loglikelihood_rolling", "multiple_choice")
OnProgress = Callable[[int, int], None]
"""Requests done, and requests in all of this model."""


@dataclass(slots=True)
class RunHooks:
    """Whoever wants the run: ``stop_event`` ends it, ``on_progress`` is told where it stands."""

    stop_event: threading.Event = field(default_factory=threading.Event)
    on_progress: OnProgress = field(default=lambda _done, _total: None)


def check_tasks(tasks: Tasks, choice: TaskChoice, scorer: Scorer) -> None:
    """Check that the model can do all that the tasks ask, before anything is asked.

    Raises `InvalidRequest` that names the task or the model, and what is missing.
    """
    check_answers_fit(tasks, choice, scorer.info.name, scorer.info.context_length)
    kinds = {str(task.OUTPUT_TYPE) for task in tasks.tasks.values()}
    if kinds & set(LIKELIHOODS):
        rolling = "loglikelihood_rolling" in kinds
        asyncio.run(scorer.check_likelihoods(rolling=rolling))


def check_answers_fit(tasks: Tasks, choice: TaskChoice, model: str, window: int) -> None:
    """Check that generated answers fit into a context of ``window`` tokens, and that every task's
    way of generating them is known. Raises `InvalidRequest` that names the task."""
    from playground.evaluation.harness.language_model import sampling_of

    for name, task in tasks.tasks.items():
        if task.OUTPUT_TYPE != "generate_until":
            continue
        try:
            sampling = sampling_of(task.get_config("generation_kwargs") or {}, choice.seed)
        except InvalidRequest as error:
            raise InvalidRequest("tasks", f"{name}: {error.message}") from error
        if (sampling.max_tokens or 0) >= window:
            problem = f"its answers may have {sampling.max_tokens} tokens"
            raise InvalidRequest(
                "tasks", f"{name}: {problem}, and {model} has a context of {window}"
            )


def run_tasks(
    tasks: Tasks,
    choice: TaskChoice,
    backend: Backend,
    info: ModelInfo,
    cache: EvaluationCache,
    hooks: RunHooks | None = None,
) -> HarnessResult:
    """Run loaded tasks on one model. What ``cache`` has of it is not asked again.

    Raises `EvaluationStopped` once the hooks' event is set, `InvalidRequest` for what the model
    cannot do and for tasks that fail, and what the backend raises.
    """
    from lm_eval.evaluator import evaluate

    from playground.evaluation.harness.language_model import BackendModel

    hooks = hooks or RunHooks()
    counter = _Counter(tasks, hooks.on_progress)
    scorer = Scorer(backend, info, cache, counter.add)
    check_tasks(tasks, choice, scorer)
    scorer.asked = 0
    model = BackendModel(scorer, hooks.stop_event, choice.seed)
    try:
        found: Mapping[str, Any] | None = evaluate(
            lm=model,
            task_dict={
                "tasks": dict(tasks.tasks),
                "groups": dict(tasks.groups),
                "group_map": dict(tasks.children),
            },
            limit=choice.limit,
            bootstrap_iters=BOOTSTRAP_SAMPLES,
            log_samples=True,
            apply_chat_template=choice.apply_chat_template,
            fewshot_as_multiturn=choice.apply_chat_template,
            confirm_run_unsafe_code=choice.unsafe_code,
        )
    except (PlaygroundError, EvaluationStopped):
        raise
    except Exception as error:
        raise InvalidRequest("tasks", f"a task failed: {one_line(error)}") from error
    assert found is not None  # of one process
    return read_results(tasks, found, asked=scorer.asked, requests=counter.total)


class _Counter:
    """Counts finished requests. lm-eval makes all of them before the first one is asked."""

    def __init__(self, tasks: Tasks, on_progress: OnProgress) -> None:
        self._tasks = tasks
        self._on_progress = on_progress
        self._done = 0

    @property
    def total(self) -> int:
        """Requests in all."""
        return sum(self._counts())

    def add(self, count: int) -> None:
        """Count finished requests."""
        self._done += count
        self._on_progress(self._done, self.total)

    def _counts(self) -> Iterator[int]:
        for task in self._tasks.tasks.values():
            instances: Sequence[Any] = task.instances or ()
            yield len(instances) * (instances[0].repeats or 1 if instances else 1)
