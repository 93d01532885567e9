"""lm-eval's tasks as a sweep: models × the rows of all tasks, in the same file as any other sweep.

    tasks: [gsm8k, hellaswag]
    models: [smollm2, cardiology]
    limit: 100

Knows no job and no page; `playground.evaluation.harness` asks.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playground.errors import InvalidRequest
from playground.evaluation.harness.results import HarnessResult, RowAnswer, TaskFigure
from playground.evaluation.harness.run import RunHooks, check_tasks, run_tasks
from playground.evaluation.harness.scoring import Scorer, weights_of
from playground.evaluation.harness.tasks import (
    FIRST_SEED,
    TaskChoice,
    Tasks,
    load_tasks,
)
from playground.lab.sweeps.answers_file import SweepAnswer
from playground.lab.sweeps.definition import MAX_CELLS, Sweep, SweepPrompt, SweepRow
from playground.lab.sweeps.result import SweepResult
from playground.protocol import Backend, ModelInfo, require_model
from playground.protocol.json_types import Json, JsonObject
from playground.store.evaluation_cache import EvaluationCache

KEYS: Final = (
    "name", "tasks", "models", "limit", "num_fewshot", "apply_chat_template", "seed",
)  # fmt: skip
MAX_NAME = 200
MANY: Final = 1000


@dataclass(frozen=True, slots=True)
class HarnessRun:
    """Tasks that some models are asked."""

    name: str
    models: tuple[str, ...]
    choice: TaskChoice

    @property
    def title(self) -> str:
        """The tasks, in a line."""
        return ", ".join(self.choice.names)

    def as_json(self) -> JsonObject:
        """Return it as it is written in a file."""
        choice = self.choice
        body: JsonObject = {
            "name": self.name, "tasks": list(choice.names), "models": list(self.models),
            "limit": choice.limit, "num_fewshot": choice.num_fewshot,
            "apply_chat_template": choice.apply_chat_template, "seed": choice.seed,
        }  # fmt: skip
        return body


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What one of the models came to."""

    model: ModelInfo
    result: HarnessResult

    def figures_json(self) -> list[Json]:
        """Return its figures for a file."""
        return [{"model": self.model.name, **each.as_json()} for each in self.result.figures]


def is_harness(body: Mapping[str, Json]) -> bool:
    """Whether an object names tasks of lm-eval."""
    return "tasks" in body


def read_harness_run(body: Mapping[str, Json], folders: Sequence[Path] = ()) -> HarnessRun:
    """Read tasks to run; ``folders`` are those of the administrator. Whether there are such tasks
    shows when they are loaded. Raises `InvalidRequest` with the field."""
    for key in body:
        if key not in KEYS:
            raise InvalidRequest(key, f"tasks have no such field; they have {', '.join(KEYS)}")
    names = _names(body, "tasks")
    models = _names(body, "models")
    if len(models) > MAX_CELLS:
        raise InvalidRequest("models", f"{len(models)}; {MAX_CELLS} at most")
    chat = body.get("apply_chat_template", False)
    if not isinstance(chat, bool):
        raise InvalidRequest("apply_chat_template", f"{chat!r} is neither true nor false")
    seed = _whole(body, "seed", 0)
    choice = TaskChoice(
        names, tuple(folders), limit=_whole(body, "limit", 1),
        num_fewshot=_whole(body, "num_fewshot", 0), apply_chat_template=chat,
        seed=FIRST_SEED if seed is None else seed,
    )  # fmt: skip
    name = str(body.get("name") or ", ".join(names))
    return HarnessRun(name[:MAX_NAME], models, choice)


def run_harness(
    backend: Backend, run: HarnessRun, home: Path, hooks: RunHooks, tasks: Tasks | None = None
) -> Iterator[ModelResult]:
    """Load the tasks, unless they are, check that all models can do them, then yield what each came
    to.

    Called from a thread without an event loop. Raises `UnknownModel` and what
    `playground.evaluation.harness` raises.
    """
    served = asyncio.run(_models(backend))
    infos = [require_model(served, name) for name in run.models]
    tasks = tasks or load_tasks(run.choice)
    caches = [EvaluationCache(home, weights_of(info)) for info in infos]
    for info, cache in zip(infos, caches, strict=True):
        check_tasks(tasks, run.choice, Scorer(backend, info, cache))
    for number, (info, cache) in enumerate(zip(infos, caches, strict=True)):

        def report(done: int, total: int, number: int = number) -> None:
            hooks.on_progress(number * total + done, len(infos) * total)

        own = RunHooks(hooks.stop_event, report)
        yield ModelResult(info, run_tasks(tasks, run.choice, backend, info, cache, own))


def sweep_of_run(run: HarnessRun, answers: Sequence[RowAnswer], notes: Sequence[str] = ()) -> Sweep:
    """Return a run as a sweep: one prompt, the models, and the rows of all tasks."""
    return Sweep(
        name=run.name,
        prompts=(SweepPrompt(run.title),),
        models=run.models,
        settings=({},),
        rows=tuple(_row(number, answer) for number, answer in enumerate(answers, 1)),
        graders=(),
        notes=tuple(notes),
        tasks=run.choice.names,
    )


def sweep_answers(cell: int, answers: Sequence[RowAnswer]) -> list[SweepAnswer]:
    """Return one model's answers as those of a cell."""
    return [
        SweepAnswer(cell, row, text=answer.answer, finish_reason="stop", scores=answer.scores)
        for row, answer in enumerate(answers)
    ]


def result_of_run(run: HarnessRun, results: Sequence[ModelResult]) -> SweepResult:
    """Return the results of the models so far as a sweep's."""
    rows = results[0].result.answers if results else ()
    answers = {
        answer.key: answer
        for cell, each in enumerate(results)
        for answer in sweep_answers(cell, each.result.answers)
    }
    weights = [each.model.provenance.weights() for each in results]
    figures = [figure for each in results for figure in each.figures_json()]
    sweep = sweep_of_run(run, rows, notes_of(results))
    return SweepResult(sweep, answers, weights, figures)


def notes_of(results: Sequence[ModelResult]) -> list[str]:
    """Return the figures that were asked for, a line each."""
    return [
        f"{each.model.name}: {figure_text(figure)}"
        for each in results
        for figure in each.result.figures
        if figure.is_named
    ]


def figure_text(figure: TaskFigure) -> str:
    """Return a figure in a line: its name, value and standard error, rows and worked examples."""
    return f"{figure.name} {value_text(figure)}, {figure.rows} rows, {figure.num_fewshot}-shot"


def value_text(figure: TaskFigure) -> str:
    """Return a figure's value with its standard error."""
    value = f"{figure.value:.4f}" if abs(figure.value) < MANY else f"{figure.value:.4g}"
    return value if figure.stderr is None else f"{value} ± {figure.stderr:.4f}"


def _row(number: int, answer: RowAnswer) -> SweepRow:
    source: JsonObject = {
        "task": answer.task, "row": answer.row, "input": answer.question, "expected": answer.wanted,
    }  # fmt: skip
    return SweepRow(number, source, source, expected=answer.wanted)


async def _models(backend: Backend) -> Sequence[ModelInfo]:
    return await backend.models()


def _names(body: Mapping[str, Json], field: str) -> tuple[str, ...]:
    value = body.get(field)
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise InvalidRequest(field, "name at least one, in a list")
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidRequest(field, f"{name!r} is no name")
    return tuple(dict.fromkeys(str(name).strip() for name in names))


def _whole(body: Mapping[str, Json], field: str, least: int) -> int | None:
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidRequest(field, f"{value!r} is no whole number from {least} on")
    return value
