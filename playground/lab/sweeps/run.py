"""Runs a sweep: every cell is asked every row, many at once, and each answer is graded and kept.

Requests go through the backend's batch, behind those of people (`Priority.BATCH`). Answers that are
kept already are not asked for again. Knows no job, no page and no format of results.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from playground.errors import EngineStopped, ModelLoading, Overloaded, PlaygroundError
from playground.evaluation.graders import Graded, Grader, grade
from playground.evaluation.judge import Judge, preference, rating
from playground.evaluation.metrics import Prediction
from playground.lab.sweeps.answers_file import AnswersFile, Key, SweepAnswer
from playground.lab.sweeps.definition import Cell, Sweep, SweepRow, question_of
from playground.lab.sweeps.prompting import fill_grader, request_for
from playground.lab.sweeps.result import SweepResult
from playground.protocol import Answer, Backend, ModelInfo, Request, answer, require_model

MAX_CONCURRENT = 32
STOP_POLL_S = 0.1
BUSY_WAIT_S = 0.25
"""Before a request that the full queue refused is sent again."""
OnProgress = Callable[[int, int], None]
"""Answers done, and answers in all."""


class SweepStopped(Exception):
    """Whoever wanted the sweep wants it no longer, or not now."""


async def models_of(backend: Backend, names: Sequence[str]) -> tuple[ModelInfo, ...]:
    """Return models as they are served now. Raises `UnknownModel`."""
    served = await backend.models()
    return tuple(require_model(served, name) for name in names)


async def run_sweep(
    backend: Backend,
    sweep: Sweep,
    path: Path,
    stop_event: threading.Event | None = None,
    on_progress: OnProgress | None = None,
) -> SweepResult:
    """Ask and grade what is not kept in ``path`` yet; return all answers.

    A request that fails is an answer with an error. Raises `SweepStopped` once ``stop_event`` is
    set, `UnknownModel`, `Conflict` if a model's weights are others by now, and `EngineStopped`; the
    answers so far are kept then.
    """
    infos = await models_of(backend, sweep.models)
    weights = [info.provenance.weights() for info in infos]
    file = AnswersFile.open(path, sweep, weights)
    for key in [key for key, kept in file.answers.items() if kept.error]:
        del file.answers[key]  # it may do now
    run = _Run(backend, sweep, infos, file, on_progress or (lambda _done, _total: None))
    asking = asyncio.create_task(run.ask_all())
    while not asking.done():
        await asyncio.wait([asking], timeout=STOP_POLL_S)
        if stop_event and stop_event.is_set() and not asking.done():
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            raise SweepStopped
    await asking
    return SweepResult(sweep, file.answers, weights)


class _Run:
    """One run over one event loop."""

    def __init__(
        self,
        backend: Backend,
        sweep: Sweep,
        infos: Sequence[ModelInfo],
        file: AnswersFile,
        on_progress: OnProgress,
    ) -> None:
        self._backend = backend
        self._sweep = sweep
        self._infos = dict(zip(sweep.models, infos, strict=True))
        self._file = file
        self._on_progress = on_progress
        self._cells = sweep.cells
        self._first_answers: dict[int, asyncio.Future[str]] = {}
        """The first cell's answer to each row, for graders that compare with it."""

    async def ask_all(self) -> None:
        """Raises what ends the whole run."""
        loop = asyncio.get_running_loop()
        self._first_answers = {row: loop.create_future() for row in range(len(self._sweep.rows))}
        for (cell, row), kept in self._file.answers.items():
            if cell == 0:
                self._first_answers[row].set_result(_shown(kept))
        self._report()
        keys = (key for key in self._keys() if key not in self._file.answers)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(MAX_CONCURRENT):
                    group.create_task(self._work(keys))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _keys(self) -> Iterator[Key]:
        """Cell by cell: neighbours share a prefix, and the first cell's answers come first."""
        return ((cell.index, row) for cell in self._cells for row in range(len(self._sweep.rows)))

    def _report(self) -> None:
        self._on_progress(len(self._file.answers), len(self._cells) * len(self._sweep.rows))

    async def _work(self, keys: Iterator[Key]) -> None:
        for number, row_number in keys:
            cell, row = self._cells[number], self._sweep.rows[row_number]
            kept = await self._ask(cell, row, row_number)
            self._file.add(kept)
            self._report()

    async def _ask(self, cell: Cell, row: SweepRow, row_number: int) -> SweepAnswer:
        first = self._first_answers[row_number]
        try:
            info = self._infos[cell.model]
            request = request_for(cell, row, info.provenance.adapter_hash)
            reply = await _answered(self._backend, request)
        except (EngineStopped, ModelLoading):
            raise
        except PlaygroundError as error:
            failed = SweepAnswer(cell.index, row_number, error=error.message)
            if cell.index == 0:
                first.set_result("")
            return self._scored(failed, dict.fromkeys(self._names(row), (0.0, "")))
        made = _answer_record(cell.index, row_number, reply)
        if cell.index == 0:
            first.set_result(_shown(made))
        price = self._sweep.price
        graded = Graded(
            Prediction(reply.text, reply.calls),
            row.variables,
            row.expected_calls,
            made.ms,
            price.cost_usd(made.prompt_tokens, made.completion_tokens),
        )
        grades = {}
        for grader in (*self._sweep.graders, *row.graders):
            grades[grader.name] = await self._grade(grader, row, graded, request, made)
        return self._scored(made, grades)

    def _names(self, row: SweepRow) -> list[str]:
        return [grader.name for grader in (*self._sweep.graders, *row.graders)]

    def _scored(self, made: SweepAnswer, grades: dict[str, tuple[float, str]]) -> SweepAnswer:
        values = made.as_json() | {
            "calls": made.calls,
            "scores": {name: score for name, (score, _) in grades.items()},
            "reasons": {name: reason for name, (_, reason) in grades.items() if reason},
        }
        return SweepAnswer(**values)  # type: ignore[arg-type]

    async def _grade(
        self, grader: Grader, row: SweepRow, graded: Graded, request: Request, made: SweepAnswer
    ) -> tuple[float, str]:
        try:
            filled = fill_grader(grader, row, graded.prediction.text)
            if filled.asks_model:
                score = await self._judge(filled, row, graded, request, made)
                return filled.finish(score), ""
        except (EngineStopped, ModelLoading):
            raise
        except PlaygroundError as error:
            return 0.0, error.message
        found = await asyncio.to_thread(grade, filled, graded)
        return found.score, found.reason

    async def _judge(
        self, grader: Grader, row: SweepRow, graded: Graded, request: Request, made: SweepAnswer
    ) -> float:
        model = str(grader.params.get("model") or self._sweep.judge)
        model = model or (await self._backend.models())[0].name
        judge = Judge(model, str(grader.params["rubric"]))
        question, text = question_of(request), graded.prediction.shown()
        if grader.type == "rubric":
            return await rating(self._backend, judge, question, text)
        reference = grader.params.get("value", row.expected)
        if reference is None:
            if made.cell == 0:
                return 0.5  # it is what the others are compared with
            reference = await self._first_answers[made.row]
        return await preference(self._backend, judge, question, text, str(reference))


async def _answered(backend: Backend, request: Request) -> Answer:
    """Ask until the queue has room. Raises `EngineStopped` for an answer that was cancelled, which
    nobody but a backend that ends does."""
    while True:
        try:
            reply = await answer(backend, request)
        except Overloaded:
            await asyncio.sleep(BUSY_WAIT_S)
            continue
        if reply.finish_reason == "cancelled":
            raise EngineStopped("the engine ended before the answer did")
        return reply


def _answer_record(cell: int, row: int, reply: Answer) -> SweepAnswer:
    timings = reply.timings
    return SweepAnswer(
        cell,
        row,
        text=reply.text,
        calls=tuple(call.to_openai()["function"] for call in reply.calls),
        reasoning=reply.reasoning,
        finish_reason=reply.finish_reason,
        prompt_tokens=reply.usage.prompt_tokens,
        completion_tokens=reply.usage.completion_tokens,
        first_token_ms=round(1000 * (timings.first_token_s - timings.queued_s), 3),
        ms=round(1000 * (timings.total_s - timings.queued_s), 3),
    )


def _shown(kept: SweepAnswer) -> str:
    return kept.text or "\n".join(f"{call['name']}({call['arguments']})" for call in kept.calls)
