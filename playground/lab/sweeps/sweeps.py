"""The sweeps of one server: begun, listed, looked at while they run, stopped, resumed, deleted.

What page and API call. Knows no page and no HTTP.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from playground.errors import InvalidSettings, UnknownJob, UnknownSweep
from playground.evaluation.expressions import expression_problem
from playground.evaluation.grader_forms import NO_EXPRESSIONS, read_graders
from playground.evaluation.harness.tasks import require_harness
from playground.files import atomic_folder
from playground.jobs import JobKind, Jobs, JobSnapshot, JobSummary
from playground.jobs.index import Signature, signature_of
from playground.lab.sweeps.answers_file import read_answers
from playground.lab.sweeps.definition import Sweep
from playground.lab.sweeps.harness import HarnessRun, is_harness, read_harness_run
from playground.lab.sweeps.harness_job import (
    HARNESS,
    SHOWN_FILE,
    HarnessKind,
    shown_result,
    write_run,
)
from playground.lab.sweeps.importing import sweep_of
from playground.lab.sweeps.job import (
    ANSWERS_FILE,
    RESULT_FILE,
    SWEEP,
    SweepKind,
    stored_sweep,
    write_sweep,
)
from playground.lab.sweeps.reading import PromptSource, Sources, no_file
from playground.lab.sweeps.result import SweepResult
from playground.lab.sweeps.rows import RowsReader
from playground.lab.sweeps.run import models_of
from playground.protocol import Backend
from playground.protocol.json_types import Json, JsonObject

FOLDER = "sweeps"
MAX_OPEN_RESULTS = 8
HistoryRows = Callable[[int], Sequence[Mapping[str, object]]]
"""The latest conversations as rows with ``messages``, that many at most."""


class Sweeps:
    """The sweeps of one home. Use it as a context manager.

    ``expressions`` are the administrator's Python expressions by name; ``prompts`` is where prompts
    with versions are kept, ``history`` gives the rows of kept conversations, ``task_folders`` hold
    tasks for lm-eval.
    """

    def __init__(
        self,
        home: Path,
        backend: Backend,
        expressions: Mapping[str, str] = NO_EXPRESSIONS,
        prompts: PromptSource | None = None,
        history: HistoryRows | None = None,
        task_folders: Sequence[Path] = (),
    ) -> None:
        self._home = home
        self._task_folders = tuple(task_folders)
        self._folder = home / FOLDER
        self._backend = backend
        self.prompts = prompts
        self.history = history
        self.expressions = expressions
        kinds: list[JobKind] = [SweepKind(backend), HarnessKind(backend, home, self._task_folders)]
        self._jobs = Jobs(self._folder, kinds, "evaluate")
        self._results: OrderedDict[str, tuple[Signature, SweepResult]] = OrderedDict()
        self._results_lock = threading.Lock()

    def __enter__(self) -> Self:
        self._jobs.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._jobs.close()

    def read(self, body: Mapping[str, Json], read_rows: RowsReader = no_file) -> Sweep | HarnessRun:
        """Read a sweep of ours, OpenAI's or promptfoo's (`sweep_of`), or tasks of lm-eval, as page
        and API may ask for it. Raises `InvalidRequest` for what is wrong in it."""
        if is_harness(body):
            require_harness()
            return read_harness_run(body, self._task_folders)
        return sweep_of(body, Sources(self.prompts, read_rows, expressions=self.expressions))

    def check_grader(self, body: JsonObject) -> None:
        """Raises `InvalidRequest` for what is wrong in one grader."""
        read_graders([body], "grader", expressions=self.expressions)

    async def start(self, sweep: Sweep | HarnessRun) -> JobSnapshot:
        """Queue a sweep. Raises `UnknownModel`, and `Conflict` where another server of the same
        home does the sweeps."""
        await models_of(self._backend, sweep.models)
        self._jobs.require_available()
        made = time.strftime("%Y%m%d%H%M%S", time.gmtime())
        folder = self._folder / f"sweep-{made}-{secrets.token_hex(3)}"
        models = list(sweep.models)
        if isinstance(sweep, HarnessRun):
            with atomic_folder(folder) as new:
                write_run(new, sweep)
            tasks = {"cells": len(models), "models": models, "prompts": [sweep.title]}
            return self._jobs.add(folder, HARNESS, sweep.name, tasks)
        with atomic_folder(folder) as new:
            write_sweep(new, sweep)
        about = {
            "cells": len(sweep.cells), "rows": len(sweep.rows), "models": models,
            "prompts": [prompt.name for prompt in sweep.prompts],
        }  # fmt: skip
        return self._jobs.add(folder, SWEEP, sweep.name, about)

    def list(self) -> tuple[JobSummary, ...]:
        """All sweeps, the latest first."""
        return self._jobs.list()

    def snapshot(self, sweep_id: str) -> JobSnapshot:
        """Return where a sweep stands. Raises `UnknownSweep`."""
        with _named(sweep_id):
            return self._jobs.snapshot(sweep_id)

    def result(self, sweep_id: str) -> SweepResult:
        """Return a sweep with the answers so far. Raises `UnknownSweep`."""
        job = self.snapshot(sweep_id)
        folder, is_harness_run = job.folder, job.kind == HARNESS
        signature = signature_of(folder / (SHOWN_FILE if is_harness_run else ANSWERS_FILE))
        with self._results_lock:
            known = self._results.get(sweep_id)
            if known and known[0] == signature:
                return known[1]
            if is_harness_run:
                result = shown_result(folder)
            else:
                sweep = known[1].sweep if known else stored_sweep(folder)
                result = SweepResult(sweep, *read_answers(folder / ANSWERS_FILE))
            self._results[sweep_id] = (signature, result)
            self._results.move_to_end(sweep_id)
            while len(self._results) > MAX_OPEN_RESULTS:
                self._results.popitem(last=False)
            return result

    def result_file(self, sweep_id: str) -> Path | None:
        """Return the file of a finished sweep's result; None before. Raises `UnknownSweep`."""
        path = self.snapshot(sweep_id).folder / RESULT_FILE
        return path if path.is_file() else None

    def stop(self, sweep_id: str) -> None:
        """Stop asking; what is answered stays. Raises `UnknownSweep` and `Conflict`."""
        with _named(sweep_id):
            self._jobs.stop(sweep_id)

    def resume(self, sweep_id: str) -> None:
        """Ask what is not answered yet. Raises `UnknownSweep` and `Conflict`."""
        with _named(sweep_id):
            self._jobs.resume(sweep_id)

    def delete(self, sweep_id: str) -> None:
        """Remove a sweep. Raises `UnknownSweep`, and `Conflict` while it runs."""
        with _named(sweep_id):
            self._jobs.delete(sweep_id)
        with self._results_lock:
            self._results.pop(sweep_id, None)

    def wait(self, sweep_id: str, timeout: float | None = None) -> JobSnapshot:
        """Return a sweep once nothing of it runs or waits to; for notebooks and tests."""
        return self._jobs.wait(sweep_id, timeout)


def named_expressions(values: Sequence[str]) -> dict[str, str]:
    """Read the settings' ``NAME=EXPRESSION``. Raises `InvalidSettings`."""
    expressions = {}
    for value in values:
        name, _, text = value.partition("=")
        if not name.isidentifier() or not text.strip():
            raise InvalidSettings(f"sweeps.expressions: {value!r} is not NAME=EXPRESSION")
        if problem := expression_problem(text):
            raise InvalidSettings(f"sweeps.expressions: {name}: {problem}")
        expressions[name] = text
    return expressions


@contextmanager
def _named(sweep_id: str) -> Iterator[None]:
    try:
        yield
    except UnknownJob as error:
        raise UnknownSweep(sweep_id) from error
