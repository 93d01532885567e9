"""Training jobs: one at a time, never lost, each ending in a state that says what happened."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.recipe import Recipe, recipe_yaml
from finetune.training.checkpoints import step_of
from finetune.training.train import Trained, TrainingHooks
from playground.errors import Conflict, InvalidSettings, UnknownJob
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.studio.jobs import Jobs, JobSnapshot
from playground.studio.jobs.job import read_job
from playground.studio.jobs.kinds.memory import halved
from playground.studio.jobs.kinds.train import TRAIN, Trainer, TrainingSnapshot, TrainKind
from playground.studio.jobs.kinds.training_process import train_in_subprocess
from playground.studio.runs import Run, execute, new_run

LONG_S = 120


def in_process(run: Run, watch: TrainingHooks) -> Trained:
    return execute(run, load(ModelSpec("embedded")), watch)


class TrainingJobs(Jobs):
    """A queue of training jobs alone."""

    def __init__(
        self, home: Path, train: Trainer, make_report_card: Callable[[Run], str] | None = None
    ) -> None:
        super().__init__(home, [TrainKind(train, make_report_card)])

    def train(self, name: str, recipe: Recipe, files: list[Path]) -> TrainingSnapshot:
        run = new_run(self.home, name, recipe, files)
        return training(self.add(run.folder, TRAIN, name))

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

    def train(run: Run, watch: TrainingHooks) -> Trained:
        def look(log: dict[str, object]) -> None:
            if log["step"] == step and not asked.is_set():
                asked.set()
                ask()

        return in_process(run, replace(watch, on_log=look))

    return train


def recorded_state(job: TrainingSnapshot) -> str:
    record = read_job(job.folder)
    assert record
    return record.state


def stopped(run: Run, hooks: TrainingHooks) -> Trained:
    return Trained(None, 0, 0.0, 0.0)


def test_job_done_with_progress(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    with TrainingJobs(tmp_path, in_process, lambda run: f"verdict of {run.name}") as jobs:
        job = jobs.ended(jobs.train("prices", quick, [catalogue]).id)
    assert (job.state, job.progress, job.notes) == ("done", (16, 16), ("verdict of prices",))
    assert job.adapter
    assert [step_of(each) for each in job.checkpoints] == [8, 12, 16]
    assert training(jobs.snapshot(job.id)).log == job.log


def test_jobs_run_in_order(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    seen: list[str] = []

    def train(run: Run, watch: TrainingHooks) -> Trained:
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


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_interrupted_job_resumes_to_same_adapter(
    how: str, tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with TrainingJobs(tmp_path / "whole", in_process) as whole:
        wanted = weights(whole.ended(whole.train("prices", quick, [catalogue]).id))
    jobs = TrainingJobs(tmp_path, stopping_at(6, lambda: getattr(jobs, how)(job.id)))
    job = jobs.train("prices", quick, [catalogue])
    with jobs:
        held = jobs.ended(job.id)
        assert held.state == {"pause": "paused", "stop": "stopped"}[how]
        assert step_of(held.checkpoints[-1]) in (6, 7)
        jobs.resume(job.id)
        done = jobs.ended(job.id)
    assert done.state == "done"
    assert weights(done) == wanted


def test_closed_queue_resumes_at_next_start(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    closing: list[threading.Thread] = []

    def close() -> None:
        closing.append(threading.Thread(target=jobs.close))
        closing[0].start()

    jobs = TrainingJobs(tmp_path, stopping_at(5, close))
    job = jobs.train("prices", quick, [catalogue])
    jobs.start()
    jobs._thread.join(LONG_S)
    closing[0].join(LONG_S)
    assert recorded_state(job) == "running"
    with TrainingJobs(tmp_path, in_process) as again:
        done = again.ended(job.id)
    assert done.state == "done"
    steps = [line["step"] for line in done.log if "grad_norm" in line]
    assert steps == list(range(1, 17))


SERVER = """
import sys
from pathlib import Path
from playground.studio.jobs import Jobs
from playground.studio.jobs.kinds.train import TrainKind
from playground.studio.runs import execute
from playground.models.loader import load
from playground.models.spec import ModelSpec
def train(run, hooks):
    return execute(run, load(ModelSpec("embedded")), hooks)
with Jobs(Path(sys.argv[1]), [TrainKind(train)]) as jobs:
    for job in jobs.list():
        print(jobs.wait(job.id).state)
"""


@pytest.mark.slow
def test_killed_server_job_resumes_to_same_adapter(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with TrainingJobs(tmp_path / "whole", in_process) as whole:
        wanted = weights(whole.ended(whole.train("prices", quick, [catalogue]).id))
    home = tmp_path / "killed"
    jobs = TrainingJobs(home, in_process)
    job = jobs.train("prices", quick, [catalogue])
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(home)])
    deadline = time.monotonic() + LONG_S
    while not training(jobs.snapshot(job.id)).checkpoints:
        assert server.poll() is None
        assert time.monotonic() < deadline
    os.kill(server.pid, signal.SIGKILL)
    server.ended()
    assert recorded_state(job) == "running"
    again = subprocess.run(
        [sys.executable, "-c", SERVER, str(home)], capture_output=True, text=True, check=True
    )
    assert again.stdout.split()[-1] == "done"
    done = training(jobs.snapshot(job.id))
    assert weights(done) == wanted


@pytest.mark.slow
def test_subprocess_trains_same_adapter(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    with (
        TrainingJobs(tmp_path / "here", in_process) as here,
        TrainingJobs(tmp_path, train_in_subprocess) as apart,
    ):
        mine = here.wait(here.train("prices", quick, [catalogue]).id)
        other = apart.ended(apart.train("prices", quick, [catalogue]).id)
    assert other.state == "done", other.message
    assert weights(other) == weights(mine)


def test_subprocess_failure_message(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    with TrainingJobs(tmp_path, train_in_subprocess) as jobs:
        added = jobs.train("prices", replace(quick, base_model="/nowhere"), [catalogue])
        job = jobs.ended(added.id)
    assert job.state == "failed"
    assert "/nowhere" in job.message


def test_out_of_memory_halves_micro_batches(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    tried: list[tuple[int, int]] = []

    def train(run: Run, watch: TrainingHooks) -> Trained:
        recipe = run.recipe
        tried.append((recipe.micro_batch_size, recipe.gradient_accumulation_steps))
        if recipe.micro_batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return in_process(run, watch)

    recipe = replace(quick, micro_batch_size=4, gradient_accumulation_steps=1)
    with TrainingJobs(tmp_path, train) as jobs:
        job = jobs.ended(jobs.train("prices", recipe, [catalogue]).id)
        small = jobs.ended(
            jobs.train("small", replace(quick, micro_batch_size=8), [catalogue]).id, LONG_S
        )
    assert tried[:3] == [(4, 1), (2, 2), (1, 4)]
    assert job.state == "done"
    assert "micro batches of 1 instead of 2" in job.notes[1]
    assert job.progress == (8, 8)
    assert small.state == "failed"
    assert "out of memory" in small.message


def test_halved_keeps_rows_per_step(quick: Recipe) -> None:
    smaller = halved(replace(quick, micro_batch_size=24, gradient_accumulation_steps=2))
    assert smaller
    assert (smaller.micro_batch_size, smaller.gradient_accumulation_steps) == (12, 4)
    assert halved(replace(quick, micro_batch_size=1)) is None


def test_failed_job_leaves_queue_running(tmp_path: Path, catalogue: Path, quick: Recipe) -> None:
    def train(run: Run, watch: TrainingHooks) -> Trained:
        if run.name == "bad":
            raise ZeroDivisionError("of no use")
        return in_process(run, watch)

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
    assert (second.unavailable, second.list()) == (None, ())
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
    jobs = TrainingJobs(tmp_path, stopped, lambda run: "verdict: promote")
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
