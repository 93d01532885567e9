"""The jobs of a folder in memory: a record is read again only when its files changed.

Another process may add, change and remove jobs in the same folder; that shows at the next look.
Knows no queue and no kind of job.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from playground.errors import UnknownJob
from playground.jobs.job import STATE_FILE, Job, read_job, write_job
from playground.store.viewer import may_see

Signature = tuple[int, ...]
"""Changes whenever a file or a folder's entries change."""


def signature_of(*paths: Path) -> Signature:
    """Return inode, time and size of each path, zeros for one that is missing."""
    values: list[int] = []
    for path in paths:
        try:
            stat = path.stat()
            values += (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            values += (0, 0, 0)
    return tuple(values)


class JobIndex:
    """Records by id. May be used from any thread.

    ``adopt`` makes a job of a folder without a record, or returns None where there is none: a run
    of the command line, for instance.
    """

    def __init__(self, folder: Path, adopt: Callable[[Path], Job | None]) -> None:
        self._folder = folder
        self._adopt = adopt
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[Signature, Job | None]] = {}

    def jobs(self) -> list[Job]:
        """All jobs, by id: the oldest first."""
        with self._lock:
            names = self._names()
            for gone in self._entries.keys() - set(names):
                del self._entries[gone]
            jobs = [self._look_up(name) for name in names]
        return [job for job in jobs if job]

    def find(self, job_id: str) -> Job:
        """Return a job by its id. Raises `UnknownJob`, also where it is somebody else's."""
        with self._lock:
            is_name = job_id == Path(job_id).name and not job_id.startswith(".")
            job = self._look_up(job_id) if is_name else None
        if job is None or not may_see(job.owner):
            raise UnknownJob(job_id)
        return job

    def write(self, job: Job) -> Job:
        """Keep a job's new record. Raises `UnknownJob` if its folder is gone."""
        with self._lock:
            if not job.folder.is_dir():
                raise UnknownJob(job.id)
            write_job(job)
            self._entries[job.id] = (self._signature(job.id), job)
        return job

    def _names(self) -> list[str]:
        try:
            with os.scandir(self._folder) as entries:
                return sorted(e.name for e in entries if e.name[0] != "." and e.is_dir())
        except FileNotFoundError:
            return []

    def _signature(self, name: str) -> Signature:
        return signature_of(self._folder / name, self._folder / name / STATE_FILE)

    def _look_up(self, name: str) -> Job | None:
        signature = self._signature(name)
        if not any(signature):
            self._entries.pop(name, None)
            return None
        known = self._entries.get(name)
        if known and known[0] == signature:
            return known[1]
        folder = self._folder / name
        job = read_job(folder)
        if job is None and (job := self._adopt(folder)) and job.state == "running":
            return job  # no file says when another process ends it
        self._entries[name] = (signature, job)
        return job
