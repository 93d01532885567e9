"""The protocol between queue and kinds. A new kind is a class in `playground.studio.kinds`."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from playground.jobs.job import Job
from playground.jobs.snapshot import JobSnapshot


def _ignore(_text: str) -> None:
    return


def _ignore_values(_values: Mapping[str, object]) -> None:
    return


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class JobHooks:
    """The queue's side of a running job.

    Once ``stop_event`` is set the job saves what resuming needs and ends. ``set_phase`` says what
    it is doing now, ``add_note`` keeps a sentence for people, ``add_result`` adds to what came of
    it. ``commit`` is called before the first thing that cannot be undone: it returns False if the
    job was interrupted before, and from then on the job cannot be.
    """

    stop_event: threading.Event = field(default_factory=threading.Event)
    set_phase: Callable[[str], None] = _ignore
    add_note: Callable[[str], None] = _ignore
    add_result: Callable[[Mapping[str, object]], None] = _ignore_values
    commit: Callable[[], bool] = _always


class JobKind(Protocol):
    """Does jobs of one kind, each in a folder of its own, which the kind fills before it is queued.

    A job logs to ``metrics.jsonl`` in its folder (`playground.jobs.log`).
    """

    @property
    def name(self) -> str:
        """The kind as it is written into records."""
        ...

    def run(self, job: Job, hooks: JobHooks) -> Mapping[str, object] | None:
        """Do the job, or go on where an earlier process or an interruption left it.

        Returns its result, or None if it was interrupted. Any exception makes the job fail with its
        message; a failed job may be resumed, too.
        """
        ...

    def adopt(self, folder: Path) -> Job | None:
        """Make a job of a folder of this kind that no queue knows; None if it is no such folder."""
        ...

    def snapshot(self, basis: JobSnapshot) -> JobSnapshot:
        """Add what this kind shows of a job."""
        ...

    def discard(self, job: Job) -> None:
        """Let go of what a deleted job left outside its folder."""
        ...
