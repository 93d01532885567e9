"""The queue: does jobs one at a time, on a thread of its own, as long as the server lives.

A job belongs to the server, not to a page. What is running when the process ends, killed or not,
goes on when the next one starts. Knows no model, no page and no kind of job: kinds are handed in.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from filelock import FileLock, Timeout

from playground.errors import Conflict, PlaygroundError, UnknownJob
from playground.jobs.events import EVENTS_FILE, Event, record_event
from playground.jobs.index import JobIndex
from playground.jobs.job import STATE_FILE, Job, State
from playground.jobs.kind import JobHooks, JobKind
from playground.jobs.log import LOG_FILE, LogLine, LogReaders, progress_of
from playground.jobs.snapshot import JobSnapshot, JobSummary, snapshot_of, summary_of
from playground.protocol.origin import coming_from
from playground.store.json_files import read_json_object, write_json_object
from playground.store.viewer import Viewer, current_owner, may_see, viewed_by

logger = logging.getLogger(__name__)

Interruption = Literal["paused", "stopped", "closed"]
FAILED_IN = "failed_in"
"""Key of a failed job's result: the phase that it was in."""
LIVE = ("queued", "running")
LOCK, OWNER = ".lock", ".owner.json"
WINDING_DOWN_S = 60.0
"""How long `Jobs.delete` waits for a stopped job to end its step."""
OTHER_PROCESS_POLL_S = 1.0
"""How often `Jobs.wait` looks at jobs that another process does."""


class Jobs:
    """The jobs of one folder. Use it as a context manager, or call `start` and `close`.

    Only one process does the jobs of a folder. In another one they can be listed and looked at;
    ``unavailable`` says there why they cannot be started or changed. ``verb`` is what they do, in
    such messages.
    """

    def __init__(self, folder: Path, kinds: Sequence[JobKind], verb: str = "work") -> None:
        self.unavailable: str | None = None
        self._folder = folder
        self._verb = verb
        self._kinds = {kind.name: kind for kind in kinds}
        self._index = JobIndex(self._folder, self._adopt)
        self._logs = LogReaders()
        self._event_logs = LogReaders()
        self._logs_lock = threading.Lock()
        self._changed = threading.Condition()
        self._current: tuple[str, JobHooks] | None = None
        self._interruption: Interruption | None = None
        self._committed = False
        self._closed = False
        self._lock = FileLock(self._folder / LOCK, thread_local=False)
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to work; what another process left running is queued again.

        If another process does the jobs of this folder, ``unavailable`` says so from here on.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        owner = self._folder / OWNER
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            pid = read_json_object(owner).get("pid")
            process = f" (process {pid})" if pid else ""
            self.unavailable = f"another server{process} {self._verb}s in {self._folder.parent}"
            return
        write_json_object(owner, {"pid": os.getpid()})
        self.unavailable = None
        for job in self._index.jobs():
            if job.state == "running" and (job.folder / STATE_FILE).exists():
                self._index.write(replace(job, state="queued", phase=""))
        self._thread.start()

    def close(self) -> None:
        """Let the running job save what it needs, and end; it goes on at the next start."""
        with self._changed:
            self._closed = True
            self._interrupt_current("closed")
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._lock.release()

    def list(self, kind: str | None = None) -> tuple[JobSummary, ...]:
        """All jobs that the viewer may see, or those of one kind, the latest first."""
        visible = (job for job in reversed(self._index.jobs()) if may_see(job.owner))
        jobs = (job for job in visible if kind in (None, job.kind))
        log = self._log
        return tuple(summary_of(job, log(job) if job.state == "running" else ()) for job in jobs)

    def snapshot(self, job_id: str) -> JobSnapshot:
        """Return everything that is shown of a job, as its kind has it. Raises `UnknownJob`."""
        job = self._index.find(job_id)
        basis = snapshot_of(job, self._log(job), self._events(job))
        kind = self._kinds.get(job.kind)
        return kind.snapshot(basis) if kind else basis

    def add(
        self, folder: Path, kind: str, name: str, request: Mapping[str, object] | None = None
    ) -> JobSnapshot:
        """Queue the job that its kind has put into ``folder``. Raises `Conflict` if this process
        cannot do it."""
        with self._changed:
            self.require_available()
            now = time.time()
            job = Job(
                folder=folder, kind=kind, name=name, state="queued", input=dict(request or {}),
                created_s=now, queued_s=now, owner=current_owner(),
            )  # fmt: skip
            self._index.write(job)
            record_event(folder, "Created")
            self._changed.notify_all()
        return self.snapshot(job.id)

    def require_available(self) -> None:
        """Raises `Conflict` while another process does the jobs of this folder.

        Takes the work over once that process has ended.
        """
        with self._changed:
            if self.unavailable and not self._closed:
                self.start()
            if self.unavailable:
                raise Conflict(f"this server does not {self._verb}: {self.unavailable}")

    def pause(self, job_id: str) -> None:
        """Save what resuming needs and free the memory; `resume` goes on. Raises `Conflict`."""
        self._interrupt(job_id, "paused", ("queued", "running"))

    def stop(self, job_id: str) -> None:
        """End for good, keeping what is saved. Raises `Conflict`.

        The job is stopped at once; what runs of it winds down, and nothing more comes of it.
        """
        self._interrupt(job_id, "stopped", ("queued", "running", "paused"))

    def resume(self, job_id: str) -> None:
        """Queue a job again, to go on from what it saved last. Raises `Conflict`."""
        with self._changed:
            self.require_available()
            job = self._index.find(job_id)
            if job.state not in ("paused", "stopped", "failed"):
                raise Conflict(f"job {job_id} is {job.state}, and not waiting to go on")
            self._index.write(
                replace(
                    job, state="queued", phase="", message="", ended_s=None, queued_s=time.time()
                )
            )
            record_event(job.folder, "Resumed")
            self._changed.notify_all()

    def delete(self, job_id: str, patience_s: float = WINDING_DOWN_S) -> None:
        """Remove a job's folder; what was published stays. Raises `Conflict` while it runs.

        Waits ``patience_s`` seconds for a job that was stopped and is still winding down.
        """
        with self._changed:
            self.require_available()
            self._require_not_running(job_id)
            if not self._changed.wait_for(lambda: not self._is_current(job_id), patience_s):
                raise Conflict(f"job {job_id} is still winding down; try again in a moment")
            job = self._require_not_running(job_id)  # again: it may have been resumed
            hidden = job.folder.with_name(f".{job_id}.deleted")
            job.folder.rename(hidden)
            self._changed.notify_all()
        if kind := self._kinds.get(job.kind):
            kind.discard(job)
        shutil.rmtree(hidden)

    def _require_not_running(self, job_id: str) -> Job:
        job = self._index.find(job_id)
        if job.state == "running":
            raise Conflict(f"job {job_id} is running; stop it first")
        return job

    def add_result(self, job_id: str, **values: object) -> None:
        """Add to what came of a job."""
        with self._changed:
            job = self._index.find(job_id)
            self._index.write(replace(job, result={**job.result, **values}))

    def wait(self, job_id: str, timeout: float | None = None) -> JobSnapshot:
        """Return the job once nothing of it runs or waits to; for notebooks and tests."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._is_current(job_id) or self._index.find(job_id).state in LIVE:
                left = OTHER_PROCESS_POLL_S if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, OTHER_PROCESS_POLL_S))
        return self.snapshot(job_id)

    def _adopt(self, folder: Path) -> Job | None:
        return next((job for kind in self._kinds.values() if (job := kind.adopt(folder))), None)

    def _log(self, job: Job) -> tuple[LogLine, ...]:
        with self._logs_lock:
            return self._logs.read(job.folder / LOG_FILE)

    def _events(self, job: Job) -> tuple[Event, ...]:
        with self._logs_lock:
            return self._event_logs.read(job.folder / EVENTS_FILE)

    def _is_current(self, job_id: str) -> bool:
        return self._current is not None and self._current[0] == job_id

    def _interrupt(
        self, job_id: str, state: Literal["paused", "stopped"], allowed: Sequence[State]
    ) -> None:
        with self._changed:
            self.require_available()
            job = self._index.find(job_id)
            if job.state not in allowed:
                raise Conflict(f"job {job_id} is {job.state}")
            is_current = self._is_current(job_id)
            if job.state == "running" and not is_current:
                raise Conflict(f"job {job_id} is run by a command; stop it there")
            if is_current and self._committed:
                raise Conflict(f"job {job_id} publishes its adapter already")
            if is_current:
                self._interrupt_current(state)
            if state == "stopped":
                self._index.write(replace(job, state=state, phase="", ended_s=time.time()))
                record_event(job.folder, "Stopped")
            elif not is_current:
                self._index.write(replace(job, state=state))
                record_event(job.folder, "Paused")
            self._changed.notify_all()

    def _interrupt_current(self, how: Interruption) -> None:
        if self._current and self._interruption != "stopped":
            self._interruption = how
            self._current[1].stop_event.set()

    # From here on: the queue's thread.

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next() is not None)
                job = self._next()
                if self._closed or job is None:
                    return
                hooks = self._hooks(job.id)
                self._current, self._interruption = (job.id, hooks), None
                self._committed = False
                self._index.write(replace(job, state="running", message=""))
                record_event(job.folder, "Started")
            self._keep_end_of(job, hooks)
            with self._changed:
                self._current = None
                self._changed.notify_all()

    def _keep_end_of(self, job: Job, hooks: JobHooks) -> None:
        try:
            end = self._run(job, hooks)
            with self._changed:
                self._current = None
                self._index.write(end())
        except UnknownJob:
            logger.warning("job %s was removed by another process while it ran", job.id)

    def _next(self) -> Job | None:
        queued = [job for job in self._index.jobs() if job.state == "queued"]
        return min(queued, key=lambda job: job.queued_s, default=None)

    def _hooks(self, job_id: str) -> JobHooks:
        def update(change: Callable[[Job], Job], message: str) -> None:
            with self._changed:
                job = self._index.find(job_id)
                if job.state == "running":  # not stopped meanwhile
                    self._index.write(change(job))
                    record_event(job.folder, message)

        def add_note(note: str) -> None:
            update(lambda job: replace(job, notes=(*dict.fromkeys((*job.notes, note)),)), note)

        def commit() -> bool:
            with self._changed:
                self._committed = self._interruption is None
                return self._committed

        return JobHooks(
            set_phase=lambda phase: update(
                lambda job: replace(job, phase=phase), f"{phase[:1].upper()}{phase[1:]}"
            ),
            add_note=add_note,
            add_result=lambda values: self.add_result(job_id, **values),
            commit=commit,
        )

    def _run(self, job: Job, hooks: JobHooks) -> Callable[[], Job]:
        """Do the job; return what makes it as it stands afterwards, to be called under the lock.

        Nothing that a job does ends the queue.
        """
        try:
            # What it makes is its owner's.
            with viewed_by(Viewer(job.owner, sees_all=True)), coming_from(job.kind):
                result = self._kind(job).run(job, hooks)
        except PlaygroundError as error:
            message = error.message
        except Exception as error:  # the outer edge of a job: any error is the job's own
            logger.exception("job %s failed", job.id)
            message = f"{type(error).__name__}: {error}"
        else:
            return lambda: self._end_of(job.id, result)
        return lambda: self._ended(job.id, "failed", message=message)

    def _end_of(self, job_id: str, result: Mapping[str, object] | None) -> Job:
        if result is not None:
            return self._ended(job_id, "done", result=result)
        if self._interruption == "closed":
            return self._index.find(job_id)  # still "running": the next start goes on with it
        return self._ended(job_id, self._interruption or "stopped")

    def _kind(self, job: Job) -> JobKind:
        kind = self._kinds.get(job.kind)
        if kind is None:
            raise Conflict(f"this server does no jobs of kind {job.kind!r}")
        return kind

    def _ended(
        self,
        job_id: str,
        state: State,
        message: str = "",
        result: Mapping[str, object] | None = None,
    ) -> Job:
        job = self._index.find(job_id)  # with the notes made on the way
        if job.state != "running":  # stopped on the way, perhaps resumed since
            return replace(job, progress=progress_of(self._log(job)))
        failed_in = {FAILED_IN: job.phase} if state == "failed" else {}
        event = f"{state[:1].upper()}{state[1:]}" + (f": {message}" if message else "")
        record_event(job.folder, event, "error" if state == "failed" else "info")
        return replace(
            job,
            state=state,
            phase="",
            message=message,
            result={**job.result, **(result or {}), **failed_in},
            progress=progress_of(self._log(job)),
            ended_s=None if state == "paused" else time.time(),
        )
