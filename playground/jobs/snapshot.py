"""Jobs as page and API show them: plain values, taken once a poll; no attribute opens a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from playground.jobs.events import Event
from playground.jobs.job import Job, Progress, State
from playground.jobs.log import LogLine, progress_of, seconds_left_of


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """A job in a list. ``progress`` is current while it runs, and else that of its last state.

    Times are in seconds since the epoch.
    """

    id: str
    kind: str
    name: str
    state: State
    phase: str
    message: str
    notes: tuple[str, ...]
    progress: Progress
    created_s: float
    ended_s: float | None

    @property
    def live(self) -> bool:
        """True while it runs or waits to."""
        return self.state in ("queued", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSnapshot(JobSummary):
    """Everything that every kind of job has; a kind adds fields of its own in a subclass."""

    folder: Path
    input: Mapping[str, object]
    result: Mapping[str, object]
    log: tuple[LogLine, ...]
    events: tuple[Event, ...]
    seconds_left: float | None
    """As its last log line estimated, while it runs."""


class _Common(TypedDict):
    id: str
    kind: str
    name: str
    state: State
    phase: str
    message: str
    notes: tuple[str, ...]
    progress: Progress
    created_s: float
    ended_s: float | None


def summary_of(job: Job, log: tuple[LogLine, ...] = ()) -> JobSummary:
    """Return a job as it is listed; its progress is the log's, if one is given."""
    return JobSummary(**_common(job, log))


def snapshot_of(job: Job, log: tuple[LogLine, ...], events: tuple[Event, ...] = ()) -> JobSnapshot:
    """Return all that every kind of job has."""
    return JobSnapshot(
        **_common(job, log),
        folder=job.folder,
        input=job.input,
        result=job.result,
        log=log,
        events=events,
        seconds_left=seconds_left_of(log) if job.state == "running" else None,
    )


def _common(job: Job, log: tuple[LogLine, ...]) -> _Common:
    return {
        "id": job.id,
        "kind": job.kind,
        "name": job.name,
        "state": job.state,
        "phase": job.phase,
        "message": job.message,
        "notes": job.notes,
        "progress": progress_of(log) if log else job.progress,
        "created_s": job.created_s,
        "ended_s": job.ended_s,
    }
