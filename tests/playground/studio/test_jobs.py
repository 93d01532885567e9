"""Training jobs: one at a time, never lost, each ending in a state that says what happened."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.recipe import Recipe, recipe_yaml
from finetune.training.checkpoints import step_of
from finetune.training.hooks import Trained, TrainingHooks
from playground.errors import Conflict, InvalidSettings, UnknownJob
from playground.studio.kinds.memory import halved
from playground.studio.kinds.train import (
    TRAIN,
)
from playground.studio.kinds.training_process import train_in_subprocess
from playground.studio.runs import Run, new_run
from tests.conftest import write_catalogue
from tests.playground.studio.training_jobs import (
    LONG_S,
    TrainingJobs,
    good,
    in_process,
    recorded_state,
    scripted,
    stopped,
    stopping_at,
    training,
    weights,
)
from tests.processes import in_a_process


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, quick: Recipe) -> bytes:
    """Weights of the adapter that nothing interrupts."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    with TrainingJobs(folder, in_process) as jobs:
        return weights(jobs.ended(jobs.train("prices", quick, [write_catalogue(folder)]).id))


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


@pytest.mark.slow
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
