"""A run of lm-eval's tasks as a job beside the sweeps; its folder holds what a sweep's holds.

Every answer is kept by content (`playground.store.evaluation_cache`), so that a run that was
stopped or killed asks only what is missing. Knows no page and no HTTP.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from playground.errors import Conflict, EngineStopped
from playground.evaluation.harness.run import RunHooks
from playground.evaluation.report_card import EvaluationStopped
from playground.files import write_atomic
from playground.jobs import Job, JobHooks, JobSnapshot
from playground.jobs.log import LOG_FILE
from playground.lab.sweeps.answers_file import read_answer
from playground.lab.sweeps.definition import Sweep, SweepPrompt, SweepRow
from playground.lab.sweeps.harness import (
    HarnessRun,
    ModelResult,
    read_harness_run,
    result_of_run,
    run_harness,
    sweep_of_run,
)
from playground.lab.sweeps.job import RESULT_FILE, SHUTDOWN_S, logging_to, wait_for_model
from playground.lab.sweeps.result import SweepResult, to_text
from playground.protocol import Backend, Provenance
from playground.protocol.json_types import Json, JsonObject, objects_at
from playground.store.json_files import read_json_object, write_json_object

HARNESS = "tasks"
RUN_FILE, SHOWN_FILE = "tasks.json", "shown.json"


def write_run(folder: Path, run: HarnessRun) -> None:
    """Keep a run in its job's folder."""
    write_json_object(folder / RUN_FILE, run.as_json())


def shown_result(folder: Path) -> SweepResult:
    """Return what is shown of a run: the models that are done. Raises `Conflict` if its file is
    damaged."""
    body: JsonObject = read_json_object(folder / SHOWN_FILE)  # type: ignore[assignment]  # ours
    if not body:
        stored: JsonObject = read_json_object(folder / RUN_FILE)  # type: ignore[assignment]
        return SweepResult(sweep_of_run(read_harness_run(stored), ()), {})
    try:
        rows = tuple(
            SweepRow(number, row, row, expected=str(row["expected"]))
            for number, row in enumerate(objects_at(body, "rows"), 1)
        )
        sweep = Sweep(
            str(body["name"]), (SweepPrompt(str(body["title"])),), _texts(body["models"]), ({},),
            rows, (), notes=_texts(body["notes"]), tasks=_texts(body["tasks"]),
        )  # fmt: skip
        answers = [read_answer(each) for each in objects_at(body, "answers")]
    except (KeyError, TypeError) as error:
        raise Conflict(f"{folder / SHOWN_FILE} is damaged: {error!r}") from error
    weights = [Provenance.parse(each) for each in objects_at(body, "weights")]
    by_key = {answer.key: answer for answer in answers}
    return SweepResult(sweep, by_key, weights, objects_at(body, "figures"))


def write_shown(folder: Path, result: SweepResult) -> None:
    """Keep what is done so far; see `shown_result`."""
    sweep = result.sweep
    body: JsonObject = {
        "name": sweep.name, "title": sweep.prompts[0].name, "models": list(sweep.models),
        "tasks": list(sweep.tasks), "notes": list(sweep.notes),
        "rows": [row.source for row in sweep.rows],
        "figures": list(result.figures),
        "weights": [asdict(each) for each in result.weights],
        "answers": [answer.as_json() for answer in result.answers.values()],
    }  # fmt: skip
    write_json_object(folder / SHOWN_FILE, body)


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


class HarnessKind:
    """Runs tasks; see `playground.jobs.kind.JobKind`. ``folders`` hold tasks of the administrator's
    own."""

    name = HARNESS

    def __init__(self, backend: Backend, home: Path, folders: tuple[Path, ...] = ()) -> None:
        self._backend = backend
        self._home = home
        self._folders = folders

    def run(self, job: Job, hooks: JobHooks) -> Mapping[str, object] | None:
        """Ask what is not in the cache, and write the result."""
        body: JsonObject = read_json_object(job.folder / RUN_FILE)  # type: ignore[assignment]
        run = read_harness_run(body, self._folders)
        if not wait_for_model(self._backend, hooks):
            return None
        hooks.set_phase("asking")
        results: list[ModelResult] = []
        try:
            own = RunHooks(hooks.stop_event, logging_to(job.folder / LOG_FILE))
            for result in run_harness(self._backend, run, self._home, own):
                results.append(result)
                write_shown(job.folder, result_of_run(run, results))
        except EvaluationStopped:
            return None
        except EngineStopped:
            # A server that ends closes its engine first, and its jobs soon after.
            if hooks.stop_event.wait(SHUTDOWN_S):
                return None
            raise
        done = result_of_run(run, results)
        write_atomic(job.folder / RESULT_FILE, to_text(done.as_json()))
        asked = sum(each.result.asked for each in results)
        return {"errors": 0, "rows": len(done.sweep.rows), "asked": asked}

    def adopt(self, folder: Path) -> Job | None:  # noqa: ARG002
        """Nobody else leaves runs in this folder."""
        return None

    def snapshot(self, basis: JobSnapshot) -> JobSnapshot:
        """A run has nothing more to show than any job."""
        return basis

    def discard(self, job: Job) -> None:
        """All of it is in its folder, but for the cache, which other runs use."""
