"""A sweep as a job: it belongs to the server, is stopped and resumed, and outlives a kill.

Knows no page and no HTTP.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from playground.errors import Conflict, EngineStopped, PlaygroundError
from playground.files import write_atomic
from playground.jobs import Job, JobHooks, JobSnapshot
from playground.jobs.log import LOG_FILE
from playground.lab.sweeps.definition import Sweep
from playground.lab.sweeps.reading import Sources, read_sweep
from playground.lab.sweeps.result import to_text
from playground.lab.sweeps.run import SweepStopped, run_sweep
from playground.protocol import Backend
from playground.store.json_files import read_json_object, write_json_object

SWEEP = "sweep"
SWEEP_FILE, ANSWERS_FILE, RESULT_FILE = "sweep.json", "answers.jsonl", "result.json"
LOG_INTERVAL_S = 0.5
LOADING_POLL_S = 0.2
SHUTDOWN_S = 10.0
"""How long an engine's end is taken for the server's before the job fails."""


def write_sweep(folder: Path, sweep: Sweep) -> None:
    """Keep a sweep in its job's folder."""
    write_json_object(folder / SWEEP_FILE, sweep.as_json())


def stored_sweep(folder: Path) -> Sweep:
    """Return the sweep of a job's folder. Raises `Conflict` if its file is damaged."""
    try:
        # What is stored here was checked when it came.
        return read_sweep(read_json_object(folder / SWEEP_FILE), Sources(python=True))  # type: ignore[arg-type]
    except PlaygroundError as error:
        raise Conflict(f"{folder / SWEEP_FILE} is damaged: {error.message}") from error


class SweepKind:
    """Runs sweeps; see `playground.jobs.kind.JobKind`."""

    name = SWEEP

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def run(self, job: Job, hooks: JobHooks) -> Mapping[str, object] | None:
        """Ask what is not answered yet, and write the result."""
        sweep = stored_sweep(job.folder)
        if not wait_for_model(self._backend, hooks):
            return None
        hooks.set_phase("asking")
        try:
            result = asyncio.run(
                run_sweep(
                    self._backend,
                    sweep,
                    job.folder / ANSWERS_FILE,
                    hooks.stop_event,
                    logging_to(job.folder / LOG_FILE),
                )
            )
        except SweepStopped:
            return None
        except EngineStopped:
            # A server that ends closes its engine first, and its jobs soon after.
            if hooks.stop_event.wait(SHUTDOWN_S):
                return None
            raise
        write_atomic(job.folder / RESULT_FILE, to_text(result.as_json()))
        return {"errors": sum(bool(answer.error) for answer in result.answers.values())}

    def adopt(self, folder: Path) -> Job | None:  # noqa: ARG002
        """Nobody else leaves sweeps in this folder."""
        return None

    def snapshot(self, basis: JobSnapshot) -> JobSnapshot:
        """A sweep has nothing more to show than any job."""
        return basis

    def discard(self, job: Job) -> None:
        """All of it is in its folder."""


def wait_for_model(backend: Backend, hooks: JobHooks) -> bool:
    """Wait until the model is loaded; False if the job is stopped before."""
    hooks.set_phase("waiting for the model")
    while backend.loading:
        if hooks.stop_event.wait(LOADING_POLL_S):
            return False
    return True


def logging_to(path: Path) -> Callable[[int, int], None]:
    """Return what writes progress into a job's log, twice a second at most."""
    began, last = time.monotonic(), 0.0
    before: int | None = None

    def log(done: int, total: int) -> None:
        nonlocal last, before
        now = time.monotonic()
        before = done if before is None else before
        if done < total and now - last < LOG_INTERVAL_S:
            return
        last = now
        line: dict[str, float] = {"step": done, "steps": total}
        if done > before:
            seconds_left = (now - began) / (done - before) * (total - done)
            line["seconds_left"] = round(seconds_left, 1)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    return log
