"""The queue: takes jobs one at a time, on a thread of its own, as long as the server lives.

A job belongs to the server. What is running when the process ends, killed or not, goes on from its
last good checkpoint when the next one starts. Knows neither the model nor the page: how a run is
trained and how its report card is made is handed in.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from finetune.recipe import Recipe
from finetune.training.train import Trained, TrainingHooks
from playground.errors import Conflict, PlaygroundError, UnknownJob
from playground.studio.jobs.job import Job, jobs_in, open_job
from playground.studio.jobs.memory import MOST_HALVINGS, halved, is_out_of_memory
from playground.studio.runs import Run, new_run, set_recipe

logger = logging.getLogger(__name__)

Trainer = Callable[[Run, TrainingHooks], Trained]
CardMaker = Callable[[Run], str]
"""Writes a finished run's report card; returns a note for people, mostly its verdict."""
Ending = Literal["paused", "stopped", "closed"]


class Jobs:
    """The jobs of one home. Use it as a context manager, or call `start` and `close`.

    Only one server trains in a home; in another `start` raises `Conflict`.
    """

    def __init__(
        self,
        home: Path,
        train: Trainer,
        make_card: CardMaker | None = None,
        turn: Callable[[threading.Event], None] | None = None,
        publish: Callable[[Run], str] | None = None,
    ) -> None:
        self.home = home
        self._publish = publish
        self._train = train
        self._make_card = make_card
        self._turn = turn
        self._changed = threading.Condition()
        self._current: tuple[str, TrainingHooks] | None = None
        self._ending: Ending | None = None
        self._closed = False
        self._lock = FileLock(home / "runs" / ".lock", thread_local=False)
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)

    def __enter__(self) -> "Jobs":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to work; whatever another process left running is queued again."""
        (self.home / "runs").mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Conflict(f"another server trains in {self.home}") from None
        for job in jobs_in(self.home):
            if job.state == "running":
                job.changed(state="queued", phase="")
        self._thread.start()

    def close(self) -> None:
        """Let the running job save a checkpoint, and end; it goes on at the next start."""
        with self._changed:
            self._closed = True
            self._end_current("closed")
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._lock.release()

    def add(
        self,
        name: str,
        recipe: Recipe,
        files: Sequence[Path],
        evaluation: Path | None = None,
        *,
        publishes: bool = False,
    ) -> Job:
        """Queue a new job. Raises `InvalidSettings` for a name that is none."""
        run = new_run(self.home, name, recipe, files, evaluation)
        job = Job(run, "queued", queued_s=time.time(), publishes=publishes)
        with self._changed:
            job.write()
            self._changed.notify_all()
        return job

    def all(self) -> list[Job]:
        """All jobs, the latest first."""
        return list(jobs_in(self.home))[::-1]

    def find(self, job_id: str) -> Job:
        """A job by its id. Raises `UnknownJob`."""
        for job in jobs_in(self.home):
            if job.id == job_id:
                return job
        raise UnknownJob(job_id)

    def pause(self, job_id: str) -> None:
        """Save a checkpoint and free the memory; `resume` goes on. Raises `Conflict`."""
        self._interrupt(job_id, "paused", ("queued", "running"))

    def stop(self, job_id: str) -> None:
        """End for good, keeping the checkpoints. Raises `Conflict`."""
        self._interrupt(job_id, "stopped", ("queued", "running", "paused"))

    def resume(self, job_id: str) -> None:
        """Queue a job again, to go on from its last checkpoint. Raises `Conflict`."""
        with self._changed:
            job = self.find(job_id)
            if job.state not in ("paused", "stopped", "failed"):
                raise Conflict(f"job {job_id} is {job.state}, and not waiting to go on")
            job.changed(state="queued", phase="", message="", queued_s=time.time())
            self._changed.notify_all()

    def delete(self, job_id: str) -> None:
        """Remove a job with its checkpoints; versions published of it stay.

        Raises `Conflict` while it runs.
        """
        with self._changed:
            job = self.find(job_id)
            if job.state == "running":
                raise Conflict(f"job {job_id} is running; stop it first")
            doomed = job.run.folder.with_name(f".{job_id}.gone")
            job.run.folder.rename(doomed)
        shutil.rmtree(doomed)

    def note_published(self, job_id: str, version: str) -> None:
        """Remember what came of a job."""
        with self._changed:
            job = self.find(job_id)
            job.changed(published=(*job.published, version))

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """The job once it neither runs nor waits to; for notebooks and tests."""
        with self._changed:
            self._changed.wait_for(lambda: not self.find(job_id).live, timeout)
        return self.find(job_id)

    def _interrupt(self, job_id: str, ending: Literal["paused", "stopped"], of: Any) -> None:
        with self._changed:
            job = self.find(job_id)
            if job.state not in of:
                raise Conflict(f"job {job_id} is {job.state}")
            if self._current and self._current[0] == job_id:
                self._end_current(ending)
            else:
                job.changed(state=ending)
                self._changed.notify_all()

    def _end_current(self, ending: Ending) -> None:
        if self._current:
            self._ending = ending
            self._current[1].stop_event.set()

    # From here on: the queue's thread.

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next() is not None)
                job = self._next()
                if self._closed or job is None:
                    return
                watch = TrainingHooks(throttle=self._turn)
                self._current, self._ending = (job.id, watch), None
                job = job.changed(state="running", phase="training", message="")
            done = self._run(job, watch)
            with self._changed:
                self._current = None
                done.write()
                self._changed.notify_all()

    def _next(self) -> Job | None:
        queued = [job for job in jobs_in(self.home) if job.state == "queued"]
        return min(queued, key=lambda job: job.queued_s, default=None)

    def _run(self, job: Job, watch: TrainingHooks) -> Job:
        """The job as it stands afterwards. Nothing that a job does ends the queue."""
        try:
            trained = self._with_less_memory(job, watch)
            job = open_job(job.run.folder)  # with the notes made on the way
            if trained.folder is None:
                return self._interrupted(job)
            job = job.changed(phase="report card")
            return self._carded(job)
        except PlaygroundError as error:
            return _failed(open_job(job.run.folder), error.message)
        except Exception as error:  # a job's outer edge
            logger.exception("job %s failed", job.id)
            return _failed(open_job(job.run.folder), f"{type(error).__name__}: {error}")

    def _interrupted(self, job: Job) -> Job:
        if self._ending == "closed":
            return job  # still "running": the next start goes on with it
        return replace(job, state=self._ending or "stopped", phase="")

    def _with_less_memory(self, job: Job, watch: TrainingHooks) -> Trained:
        for _ in range(MOST_HALVINGS):
            try:
                return self._train(job.run, watch)
            except Exception as error:
                recipe = job.run.recipe
                smaller = halved(recipe) if is_out_of_memory(error) else None
                if smaller is None:
                    raise
                set_recipe(job.run, smaller)
                note = (
                    f"out of memory: micro batches of {smaller.micro_batch_size} instead of {recipe.micro_batch_size}, "
                    f"{smaller.gradient_accumulation_steps} of them a step instead of {recipe.gradient_accumulation_steps}"
                )
                logger.warning("job %s: %s", job.id, note)
                job = job.changed(notes=(*job.notes, note))
        return self._train(job.run, watch)

    def _carded(self, job: Job) -> Job:
        note = ""
        if self._make_card:
            try:
                note = self._make_card(job.run)
            except PlaygroundError as error:
                note = f"no report card: {error.message}"
        notes = (*job.notes, note) if note else job.notes
        if job.publishes and self._publish:
            job = replace(job, published=(*job.published, self._publish(job.run)))
        return replace(job, state="done", phase="", notes=notes)


def _failed(job: Job, message: str) -> Job:
    return replace(job, state="failed", phase="", message=message)
