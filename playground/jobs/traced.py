"""A kind of jobs whose jobs are spans: what they do as events, a line of their log each. Knows no
training."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from playground.jobs.job import Job
from playground.jobs.kind import JobHooks, JobKind
from playground.jobs.log import LOG_FILE, LogReader
from playground.jobs.snapshot import JobSnapshot
from playground.tracing import Span, Tracer, within

MOST_STEPS = 1000
"""Events of one job; of a longer one every second step, or third, and so on."""


class TracedKind:
    """A `JobKind` that traces another. A job that goes on later is another span."""

    def __init__(self, kind: JobKind, tracer: Tracer) -> None:
        self._kind = kind
        self._tracer = tracer

    @property
    def name(self) -> str:
        """The kind as it is written into records."""
        return self._kind.name

    def run(self, job: Job, hooks: JobHooks) -> Mapping[str, object] | None:
        """Do the job; see `JobKind`."""
        began = time.time()
        about = {"playground.job.id": job.id, "playground.job.name": job.name}
        span = self._tracer.root(f"job {job.kind}", {**about, "playground.job.kind": job.kind})

        def set_phase(phase: str) -> None:
            span.event(phase)
            hooks.set_phase(phase)

        try:
            with within(span):  # what it asks of a model is a part of it
                result = self._kind.run(job, replace(hooks, set_phase=set_phase))
            span.set({"playground.job.state": "interrupted" if result is None else "done"})
        except BaseException as error:
            span.fail(error)
            raise
        else:
            return result
        finally:
            _add_steps(span, job, began)
            span.end()

    def adopt(self, folder: Path) -> Job | None:
        """Make a job of a folder; see `JobKind`."""
        return self._kind.adopt(folder)

    def snapshot(self, basis: JobSnapshot) -> JobSnapshot:
        """Add what this kind shows of a job."""
        return self._kind.snapshot(basis)

    def discard(self, job: Job) -> None:
        """Let go of what a deleted job left outside its folder."""
        self._kind.discard(job)


def _add_steps(span: Span, job: Job, began: float) -> None:
    lines = [line for line in LogReader(job.folder / LOG_FILE).read() if "step" in line]
    new = [line for line in lines if line.get("time_s", 0.0) >= began]
    for line in new[:: len(new) // MOST_STEPS + 1]:
        figures = {
            name: value for name, value in line.items()
            if isinstance(value, int | float) and name != "time_s"
        }  # fmt: skip
        span.event("step", figures, line["time_s"])
