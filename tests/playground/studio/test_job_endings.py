"""How jobs end, what they tell of it, and what other processes' training does to them."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.recipe import Recipe
from finetune.training.hooks import Trained, TrainingHooks
from playground.errors import Conflict, UnknownJob
from playground.studio.kinds.train import (
    PROMOTED,
    RESULT_FILES,
    TRAIN,
    MadeCard,
    Published,
    TrainingSnapshot,
    TrainKind,
)
from playground.studio.run_lock import training_lock
from playground.studio.runs import Run, execute, new_run
from tests.playground.studio.training_jobs import (
    LONG_S,
    SlowCard,
    TrainingJobs,
    base,
    good,
    in_process,
    publish,
    scripted,
    stopped,
    training,
)


def messages(job: TrainingSnapshot) -> list[str]:
    return [str(event["message"]) for event in job.events]


def carding(jobs: TrainingJobs, card: SlowCard, catalogue: Path, quick: Recipe) -> str:
    """Start a job and wait until its report card is being made; returns its id."""
    job = jobs.train("prices", quick, [catalogue], publishes=True)
    assert card.begun.wait(LONG_S)
    return job.id


def test_stop_during_report_card_publishes_nothing(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    card = SlowCard()
    with TrainingJobs(tmp_path, scripted, card) as jobs:
        job_id = carding(jobs, card, catalogue, quick)
        jobs.stop(job_id)
        at_once = training(jobs.snapshot(job_id))
        job = jobs.ended(job_id)
    assert (at_once.state, job.state) == ("stopped", "stopped")
    assert job.published == ()


def test_stopped_job_has_time_of_end(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    began = time.time()
    card = SlowCard()
    with TrainingJobs(tmp_path, scripted, card) as jobs:
        job_id = carding(jobs, card, catalogue, quick)
        jobs.stop(job_id)
        ended_s = jobs.ended(job_id).ended_s
        assert ended_s
        assert began <= ended_s <= time.time()
        queued = jobs.train("later", quick, [catalogue])
        jobs.pause(queued.id)
        jobs.stop(queued.id)
        assert training(jobs.snapshot(queued.id)).ended_s


def test_pause_during_report_card_resumes_there(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    card = SlowCard()
    with TrainingJobs(tmp_path, scripted, card) as jobs:
        job_id = carding(jobs, card, catalogue, quick)
        jobs.pause(job_id)
        assert jobs.ended(job_id).state == "paused"
    with TrainingJobs(tmp_path, stopped, good) as again:
        again.resume(job_id)
        assert again.ended(job_id).published == ("prices/v1",)


def test_resume_of_winding_down_job_waits_in_queue(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    released, begun = threading.Event(), threading.Event()

    def slow(run: Run, hooks: TrainingHooks) -> Trained:
        begun.set()
        if not released.is_set():
            hooks.stop_event.wait(LONG_S)
            released.wait(LONG_S)
            return stopped(run, hooks)
        return scripted(run, hooks)

    with TrainingJobs(tmp_path, slow) as jobs:
        job = jobs.train("prices", quick, [catalogue])
        begun.wait(LONG_S)
        jobs.stop(job.id)
        with pytest.raises(Conflict, match="winding down"):
            jobs.delete(job.id, patience_s=0)
        jobs.resume(job.id)
        assert jobs.snapshot(job.id).state == "queued"
        released.set()
        assert jobs.ended(job.id).state == "done"


def test_delete_waits_until_job_has_wound_down(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    begun, released = threading.Event(), threading.Event()

    def slow(run: Run, hooks: TrainingHooks) -> Trained:
        begun.set()
        hooks.stop_event.wait(LONG_S)
        released.wait(LONG_S)
        (run.folder / "late.txt").write_text("written while it winds down")
        return stopped(run, hooks)

    with TrainingJobs(tmp_path, slow) as jobs:
        job = jobs.train("prices", quick, [catalogue])
        begun.wait(LONG_S)
        jobs.stop(job.id)
        with ThreadPoolExecutor() as threads:
            deletion = threads.submit(jobs.delete, job.id)
            assert jobs.snapshot(job.id).state == "stopped"
            released.set()
            deletion.result(LONG_S)
        with pytest.raises(UnknownJob):
            jobs.snapshot(job.id)
        assert not jobs.list()


def test_stop_while_publishing_refused(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    refused: list[str] = []

    def stop_late(run: Run, verdict: str) -> Published:
        try:
            jobs.stop(run.folder.name)
        except Conflict as error:
            refused.append(error.message)
        return publish(run, verdict)

    jobs = TrainingJobs(tmp_path, scripted, good)
    jobs._kinds[TRAIN] = TrainKind(scripted, good, stop_late)
    with jobs:
        job = jobs.ended(jobs.train("prices", quick, [catalogue], publishes=True).id)
    assert (job.state, job.published) == ("done", ("prices/v1",))
    assert "publishes its adapter already" in refused[0]


@pytest.mark.parametrize(("verdict", "promoted"), [("promote", True), ("look closer", False)])
def test_job_promotes_by_its_card(
    verdict: str, promoted: bool, tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with TrainingJobs(tmp_path, scripted, lambda *_: MadeCard(verdict, ("file-1",))) as jobs:
        job = jobs.ended(jobs.train("prices", quick, [catalogue], publishes=True).id)
    assert job.published == ("prices/v1",)
    assert (job.result[PROMOTED], job.result[RESULT_FILES]) == (promoted, ["file-1"])


def test_events_tell_every_phase(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    with TrainingJobs(tmp_path, scripted, good) as jobs:
        job = jobs.ended(jobs.train("prices", quick, [catalogue], publishes=True).id)
    assert messages(job) == [
        "Created", "Started", "Training", "Report card", "verdict: promote", "Publishing",
        "prices/v1 is promoted", "Done",
    ]  # fmt: skip


def test_failure_is_an_event(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    def fail(run: Run, hooks: TrainingHooks) -> Trained:
        raise ZeroDivisionError("of no use")

    with TrainingJobs(tmp_path, fail) as jobs:
        job = jobs.ended(jobs.train("prices", quick, [catalogue]).id)
    assert job.events[-1]["level"] == "error"
    assert messages(job)[-1] == "Failed: ZeroDivisionError: of no use"


def test_run_of_command_is_running(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    run = new_run(tmp_path, "prices", quick, [catalogue])
    with TrainingJobs(tmp_path, stopped) as jobs:
        with training_lock(run.folder, tmp_path / "runs", threading.Event()):
            assert jobs.snapshot(run.folder.name).state == "running"
            for change in (jobs.resume, jobs.stop, jobs.pause, jobs.delete):
                with pytest.raises(Conflict):
                    change(run.folder.name)
        assert jobs.snapshot(run.folder.name).state == "stopped"


@pytest.mark.slow
def test_job_waits_for_command(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    other = new_run(tmp_path, "other", quick, [catalogue])
    waits = threading.Event()
    jobs = TrainingJobs(tmp_path, lambda run, hooks: in_process(run, noticing(hooks, waits)))
    with jobs, training_lock(other.folder, tmp_path / "runs", threading.Event()):
        job = jobs.train("prices", quick, [catalogue])
        assert waits.wait(LONG_S)
        assert jobs.snapshot(job.id).state == "running"
        jobs.stop(job.id)
        ended = jobs.ended(job.id)
    assert ended.state == "stopped"
    assert f"process {os.getpid()} trains run {other.folder.name}" in ended.notes[0]


def noticing(hooks: TrainingHooks, waits: threading.Event) -> TrainingHooks:
    def on_wait(text: str) -> None:
        assert hooks.on_wait
        hooks.on_wait(text)
        waits.set()

    return replace(hooks, on_wait=on_wait)


@pytest.mark.slow
def test_folder_is_trained_by_one_process(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    run = new_run(tmp_path, "prices", quick, [catalogue])
    with (
        training_lock(run.folder, None, threading.Event()),
        pytest.raises(Conflict, match=f"process {os.getpid()} trains run {run.folder.name}"),
    ):
        execute(run, base())


@pytest.mark.slow
def test_home_trains_one_run_at_a_time(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    one, two = (new_run(tmp_path, name, quick, [catalogue]) for name in ("one", "two"))
    with (
        training_lock(one.folder, tmp_path / "runs", threading.Event()),
        pytest.raises(Conflict, match="stop it there"),
    ):
        execute(two, base())
