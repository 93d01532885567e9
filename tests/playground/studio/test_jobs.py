"""Training jobs: one at a time, never lost, each ending in a state that says what happened."""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
import torch

from finetune.recipe import Recipe, recipe_yaml
from finetune.training.checkpoints import step_of
from finetune.training.hooks import Trained, TrainingHooks
from playground.errors import Conflict, InvalidSettings, UnknownJob
from playground.evaluation.run import EvaluationStopped
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.studio.jobs import Jobs, JobSnapshot
from playground.studio.jobs.job import read_job
from playground.studio.jobs.kinds.memory import halved
from playground.studio.jobs.kinds.train import (
    PROMOTED,
    PUBLISH,
    RESULT_FILES,
    TRAIN,
    MadeCard,
    Published,
    ReportCardMaker,
    Trainer,
    TrainingSnapshot,
    TrainKind,
)
from playground.studio.jobs.kinds.training_process import train_in_subprocess
from playground.studio.run_lock import training_lock
from playground.studio.runs import Run, execute, new_run
from tests.conftest import write_catalogue
from tests.processes import in_a_process

LONG_S = 120


@cache
def base() -> LoadedModel:
    return load(ModelSpec("embedded"))


def in_process(run: Run, hooks: TrainingHooks) -> Trained:
    return execute(run, base(), hooks)


def scripted(run: Run, hooks: TrainingHooks) -> Trained:
    """Train nothing, and leave an adapter."""
    (run.folder / "adapter").mkdir()
    return Trained(run.folder / "adapter", 1, 0.0, 0.0)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, quick: Recipe) -> bytes:
    """Weights of the adapter that nothing interrupts."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    with TrainingJobs(folder, in_process) as jobs:
        return weights(jobs.ended(jobs.train("prices", quick, [write_catalogue(folder)]).id))


class TrainingJobs(Jobs):
    """A queue of training jobs alone."""

    def __init__(
        self, home: Path, train: Trainer, make_report_card: ReportCardMaker | None = None
    ) -> None:
        super().__init__(home, [TrainKind(train, make_report_card, publish)])

    def train(
        self, name: str, recipe: Recipe, files: list[Path], *, publishes: bool = False
    ) -> TrainingSnapshot:
        run = new_run(self.home, name, recipe, files)
        return training(self.add(run.folder, TRAIN, name, {PUBLISH: publishes}))

    def ended(self, job_id: str) -> TrainingSnapshot:
        return training(self.wait(job_id, LONG_S))


def training(job: JobSnapshot) -> TrainingSnapshot:
    assert isinstance(job, TrainingSnapshot)
    return job


def weights(job: TrainingSnapshot) -> bytes:
    assert job.adapter
    return (job.adapter / "adapter_model.safetensors").read_bytes()


def stopping_at(step: int, ask: Callable[[], None]) -> Callable[[Run, TrainingHooks], Trained]:
    """Trains; once ``step`` is logged it asks for something, the first time only."""
    asked = threading.Event()

    def train(run: Run, hooks: TrainingHooks) -> Trained:
        def look(log: dict[str, object]) -> None:
            if log["step"] == step and not asked.is_set():
                asked.set()
                ask()

        return in_process(run, replace(hooks, on_log=look))

    return train


def recorded_state(job: TrainingSnapshot) -> str:
    record = read_job(job.folder)
    assert record
    return record.state


def stopped(run: Run, hooks: TrainingHooks) -> Trained:
    return Trained(None, 0, 0.0, 0.0)


def good(run: Run, stop_event: threading.Event) -> MadeCard:
    return MadeCard("promote", ("file-1",))


def publish(run: Run, verdict: str) -> Published:
    return Published(f"{run.name}/v1", verdict == "promote")


@dataclass(frozen=True)
class SlowCard:
    """A report card that is never done; ``begun`` is set once it is being made."""

    begun: threading.Event = field(default_factory=threading.Event)

    def __call__(self, run: Run, stop_event: threading.Event) -> MadeCard:
        self.begun.set()
        assert stop_event.wait(LONG_S)
        raise EvaluationStopped


@pytest.mark.training
def test_job_done_with_progress(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    with TrainingJobs(tmp_path, in_process, good) as jobs:
        job = jobs.ended(jobs.train("prices", quick, [catalogue]).id)
    assert (job.state, job.progress, job.notes) == ("done", (8, 8), ("verdict: promote",))
    assert job.adapter
    assert [step_of(each) for each in job.checkpoints] == [4, 6, 8]
    assert training(jobs.snapshot(job.id)).log == job.log


def test_jobs_run_in_order(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    seen: list[str] = []

    def train(run: Run, hooks: TrainingHooks) -> Trained:
        seen.append(run.name)
        assert [job.state for job in jobs.list()].count("running") == 1
        return Trained(None, 0, 0.0, 0.0)

    jobs = TrainingJobs(tmp_path, train)
    first = [jobs.train(name, quick, [catalogue]) for name in ("one", "two", "three")]
    assert {job.state for job in jobs.list()} == {"queued"}
    with jobs:
        for job in first:
            jobs.ended(job.id)
    assert seen == ["one", "two", "three"]


@pytest.mark.training
@pytest.mark.parametrize("how", ["pause", "stop"])
def test_interrupted_job_resumes_to_same_adapter(
    how: str, tmp_path: Path, catalogue: Path, quick: Recipe, uninterrupted: bytes
) -> None:
    jobs = TrainingJobs(tmp_path, stopping_at(3, lambda: getattr(jobs, how)(job.id)))
    job = jobs.train("prices", quick, [catalogue])
    with jobs:
        held = jobs.ended(job.id)
        assert held.state == {"pause": "paused", "stop": "stopped"}[how]
        assert step_of(held.checkpoints[-1]) in (3, 4)
        jobs.resume(job.id)
        done = jobs.ended(job.id)
    assert done.state == "done"
    assert weights(done) == uninterrupted


@pytest.mark.training
def test_closed_queue_resumes_at_next_start(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    closing: list[threading.Thread] = []

    def close() -> None:
        closing.append(threading.Thread(target=jobs.close))
        closing[0].start()

    jobs = TrainingJobs(tmp_path, stopping_at(3, close))
    job = jobs.train("prices", quick, [catalogue])
    jobs.start()
    jobs._thread.join(LONG_S)
    closing[0].join(LONG_S)
    assert recorded_state(job) == "running"
    with TrainingJobs(tmp_path, in_process) as again:
        done = again.ended(job.id)
    assert done.state == "done"
    steps = [line["step"] for line in done.log if "grad_norm" in line]
    assert steps == list(range(1, 9))


def serve(home: Path) -> None:
    """What another server does: the jobs of its home."""
    with TrainingJobs(home, in_process) as jobs:
        for job in jobs.list():
            print(jobs.wait(job.id).state)


@pytest.mark.training
@pytest.mark.slow
def test_killed_server_job_resumes_to_same_adapter(
    tmp_path: Path, catalogue: Path, quick: Recipe, uninterrupted: bytes
) -> None:
    home = tmp_path / "killed"
    jobs = TrainingJobs(home, in_process)
    job = jobs.train("prices", quick, [catalogue])
    server = in_a_process(serve, home)
    deadline = time.monotonic() + LONG_S
    while not training(jobs.snapshot(job.id)).checkpoints:
        assert server.wait(0.05) is None
        assert time.monotonic() < deadline
    server.kill()
    assert recorded_state(job) == "running"
    again = in_a_process(serve, home)
    assert again.wait(LONG_S) == 0
    assert again.output().split()[-1] == "done"
    done = training(jobs.snapshot(job.id))
    assert weights(done) == uninterrupted


@pytest.mark.training
@pytest.mark.slow
def test_subprocess_trains_same_adapter(
    tmp_path: Path, catalogue: Path, quick: Recipe, uninterrupted: bytes
) -> None:
    with TrainingJobs(tmp_path, train_in_subprocess) as jobs:
        job = jobs.ended(jobs.train("prices", quick, [catalogue]).id)
    assert job.state == "done", job.message
    assert weights(job) == uninterrupted


@pytest.mark.slow
def test_subprocess_failure_message(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    with TrainingJobs(tmp_path, train_in_subprocess) as jobs:
        added = jobs.train("prices", replace(quick, base_model="/nowhere"), [catalogue])
        job = jobs.ended(added.id)
    assert job.state == "failed"
    assert "/nowhere" in job.message


@pytest.mark.training
def test_out_of_memory_halves_micro_batches(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    tried: list[tuple[int, int]] = []

    def train(run: Run, hooks: TrainingHooks) -> Trained:
        recipe = run.recipe
        tried.append((recipe.micro_batch_size, recipe.gradient_accumulation_steps))
        if recipe.micro_batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return in_process(run, hooks)

    recipe = replace(quick, micro_batch_size=4, gradient_accumulation_steps=1)
    with TrainingJobs(tmp_path, train) as jobs:
        job = jobs.ended(jobs.train("prices", recipe, [catalogue]).id)
        small = jobs.ended(jobs.train("small", replace(quick, micro_batch_size=8), [catalogue]).id)
    assert tried[:3] == [(4, 1), (2, 2), (1, 4)]
    assert job.state == "done"
    assert "micro batches of 1 instead of 2" in job.notes[1]
    assert job.progress == (4, 4)
    assert small.state == "failed"
    assert "out of memory" in small.message


def test_halved_keeps_rows_per_step(quick: Recipe) -> None:
    smaller = halved(replace(quick, micro_batch_size=24, gradient_accumulation_steps=2))
    assert smaller
    assert (smaller.micro_batch_size, smaller.gradient_accumulation_steps) == (12, 4)
    assert halved(replace(quick, micro_batch_size=1)) is None


def test_failed_job_leaves_queue_running(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    def train(run: Run, hooks: TrainingHooks) -> Trained:
        if run.name == "bad":
            raise ZeroDivisionError("of no use")
        return scripted(run, hooks)

    with TrainingJobs(tmp_path, train) as jobs:
        bad, good = (jobs.train(name, quick, [catalogue]) for name in ("bad", "good"))
        assert jobs.wait(bad.id).message == "ZeroDivisionError: of no use"
        assert jobs.ended(good.id).state == "done"
        with pytest.raises(Conflict, match="done"):
            jobs.resume(good.id)
        with pytest.raises(Conflict, match="done"):
            jobs.pause(good.id)
        jobs.delete(good.id)
        with pytest.raises(UnknownJob):
            jobs.snapshot(good.id)
        assert not list((tmp_path / "runs").glob("*good*"))


def test_changed_rows_fail_job(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    jobs = TrainingJobs(tmp_path, in_process)
    job = jobs.train("prices", quick, [catalogue])
    (job.folder / "data" / "0" / job.files[0]).write_text(
        json.dumps({"prompt": "a", "completion": "b"})
    )
    with jobs:
        done = jobs.ended(job.id)
    assert done.state == "failed"
    assert "not what the run was made of" in done.message


def test_second_queue_lists_and_refuses(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    second = TrainingJobs(tmp_path, in_process)
    job = second.train("prices", quick, [catalogue])
    with TrainingJobs(tmp_path, stopped) as first:
        ended = first.ended(job.id)
        second.start()
        assert second.unavailable
        assert f"process {os.getpid()}" in second.unavailable
        assert second.list() == first.list()
        assert second.snapshot(job.id) == ended
        for change in (second.resume, second.delete):
            with pytest.raises(Conflict, match="another server"):
                change(job.id)
    second.delete(job.id)  # the other one has ended: this one takes over
    assert (second.unavailable or "", second.list()) == ("", ())
    second.close()


def test_wrong_name_keeps_nothing(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    with pytest.raises(InvalidSettings, match="no adapter name"):
        TrainingJobs(tmp_path, in_process).train("../up", quick, [catalogue])
    assert not list(tmp_path.glob("runs/*"))


def test_run_folder_holds_recipe(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    job = TrainingJobs(tmp_path, in_process).train("prices", quick, [catalogue])
    assert (job.folder / "recipe.yaml").read_text() == recipe_yaml(quick)


def test_report_card_resumes_without_training(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    """A job that ended after training, before its report card, does not train again."""
    jobs = TrainingJobs(tmp_path, stopped, good)
    job = jobs.train("prices", quick, [catalogue])
    (job.folder / "adapter").mkdir()
    with jobs:
        done = jobs.ended(job.id)
    assert (done.state, done.notes) == ("done", ("verdict: promote",))


def test_command_line_run_is_listed(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    run = new_run(tmp_path, "prices", quick, [catalogue])
    jobs = TrainingJobs(tmp_path, stopped)
    assert [(job.name, job.state) for job in jobs.list(TRAIN)] == [("prices", "stopped")]
    (run.folder / "adapter").mkdir()
    assert training(jobs.snapshot(run.folder.name)).state == "done"
    assert jobs.list("evaluate") == ()


def test_unchanged_jobs_are_not_read_again(
    tmp_path: Path, catalogue: Path, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = TrainingJobs(tmp_path, stopped)
    job = jobs.train("prices", quick, [catalogue])
    (job.folder / "metrics.jsonl").write_text('{"step": 1, "steps": 4}\n')
    before = (jobs.list(), jobs.snapshot(job.id))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    for method in ("open", "read_text", "read_bytes"):
        monkeypatch.setattr(Path, method, refuse)
    assert (jobs.list(), jobs.snapshot(job.id)) == before


def test_jobs_names_cannot_leave_folder(tmp_path: Path) -> None:
    jobs = TrainingJobs(tmp_path, stopped)
    (tmp_path / "state.json").write_text('{"kind": "train", "name": "x", "state": "done"}')
    for job_id in ("..", "../..", "", "/etc", ".lock"):
        with pytest.raises(UnknownJob):
            jobs.snapshot(job_id)


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
            jobs.delete(job.id)
        jobs.resume(job.id)
        assert jobs.snapshot(job.id).state == "queued"
        released.set()
        assert jobs.ended(job.id).state == "done"


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


def test_folder_is_trained_by_one_process(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    run = new_run(tmp_path, "prices", quick, [catalogue])
    with (
        training_lock(run.folder, None, threading.Event()),
        pytest.raises(Conflict, match=f"process {os.getpid()} trains run {run.folder.name}"),
    ):
        execute(run, base())


def test_home_trains_one_run_at_a_time(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    one, two = (new_run(tmp_path, name, quick, [catalogue]) for name in ("one", "two"))
    with (
        training_lock(one.folder, tmp_path / "runs", threading.Event()),
        pytest.raises(Conflict, match="stop it there"),
    ):
        execute(two, base())
