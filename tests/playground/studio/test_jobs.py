"""Training jobs: one at a time, never lost, and each ends in a state that says what happened."""

import json
import os
import signal
import subprocess
import sys
import threading
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
from playground.studio.jobs import Job, Jobs
from playground.studio.jobs.isolated import train_in_subprocess
from playground.studio.jobs.job import open_job
from playground.studio.jobs.memory import halved
from playground.studio.runs import Run, execute

LONG_S = 120


def in_process(run: Run, watch: TrainingHooks) -> Trained:
    return execute(run, load(ModelSpec("embedded")), watch)


def weights(job: Job) -> bytes:
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


def test_a_job_runs_to_its_end_and_says_how_far_it_is(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with Jobs(tmp_path, in_process, lambda run: f"verdict of {run.name}") as jobs:
        job = jobs.wait(jobs.add("prices", quick, [catalogue]).id, LONG_S)
    assert (job.state, job.progress, job.notes) == ("done", (16, 16), ("verdict of prices",))
    assert job.adapter
    assert [step_of(each) for each in job.checkpoints] == [8, 12, 16]
    assert jobs.find(job.id).log == job.log


def test_jobs_wait_for_each_other_in_the_order_in_which_they_came(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    seen: list[str] = []

    def train(run: Run, watch: TrainingHooks) -> Trained:
        seen.append(run.name)
        assert [job.state for job in jobs.all()].count("running") == 1
        return Trained(None, 0, 0.0, 0.0)

    jobs = Jobs(tmp_path, train)
    first = [jobs.add(name, quick, [catalogue]) for name in ("one", "two", "three")]
    assert {job.state for job in jobs.all()} == {"queued"}
    with jobs:
        for job in first:
            jobs.wait(job.id, LONG_S)
    assert seen == ["one", "two", "three"]


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_a_job_that_was_interrupted_goes_on_to_the_same_adapter(
    how: str, tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with Jobs(tmp_path / "whole", in_process) as whole:
        wanted = weights(whole.wait(whole.add("prices", quick, [catalogue]).id, LONG_S))
    jobs = Jobs(tmp_path, stopping_at(6, lambda: getattr(jobs, how)(job.id)))
    job = jobs.add("prices", quick, [catalogue])
    with jobs:
        held = jobs.wait(job.id, LONG_S)
        assert held.state == {"pause": "paused", "stop": "stopped"}[how]
        assert step_of(held.checkpoints[-1]) in (6, 7)
        jobs.resume(job.id)
        done = jobs.wait(job.id, LONG_S)
    assert done.state == "done"
    assert weights(done) == wanted


def test_a_server_that_is_shut_down_goes_on_with_its_job_at_the_next_start(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    closing: list[threading.Thread] = []

    def close() -> None:
        closing.append(threading.Thread(target=jobs.close))
        closing[0].start()

    jobs = Jobs(tmp_path, stopping_at(5, close))
    job = jobs.add("prices", quick, [catalogue])
    jobs.start()
    jobs._thread.join(LONG_S)
    closing[0].join(LONG_S)
    assert open_job(job.run.folder).state == "running"
    with Jobs(tmp_path, in_process) as again:
        done = again.wait(job.id, LONG_S)
    assert done.state == "done"
    steps = [line["step"] for line in done.log if "grad_norm" in line]
    assert steps == list(range(1, 17))


SERVER = """
import sys
from pathlib import Path
from playground.studio.jobs import Jobs
from playground.studio.runs import execute
from playground.models.loader import load
from playground.models.spec import ModelSpec
def train(run, watch):
    return execute(run, load(ModelSpec("embedded")), watch)
with Jobs(Path(sys.argv[1]), train) as jobs:
    for job in jobs.all():
        print(jobs.wait(job.id).state)
"""


@pytest.mark.slow
def test_after_a_kill_the_next_server_ends_the_job_with_the_same_adapter(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with Jobs(tmp_path / "whole", in_process) as whole:
        wanted = weights(whole.wait(whole.add("prices", quick, [catalogue]).id, LONG_S))
    home = tmp_path / "killed"
    job = Jobs(home, in_process).add("prices", quick, [catalogue])
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(home)])
    while not open_job(job.run.folder).checkpoints:
        assert server.poll() is None
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert open_job(job.run.folder).state == "running"
    again = subprocess.run(
        [sys.executable, "-c", SERVER, str(home)], capture_output=True, text=True, check=True
    )
    assert again.stdout.split()[-1] == "done"
    done = open_job(job.run.folder)
    assert weights(done) == wanted


@pytest.mark.slow
def test_a_process_of_its_own_trains_the_same_adapter(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with Jobs(tmp_path / "here", in_process) as here, Jobs(tmp_path, train_in_subprocess) as apart:
        mine = here.wait(here.add("prices", quick, [catalogue]).id, LONG_S)
        other = apart.wait(apart.add("prices", quick, [catalogue]).id, LONG_S)
    assert other.state == "done", other.message
    assert weights(other) == weights(mine)


def test_a_process_of_its_own_that_fails_says_why(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with Jobs(tmp_path, train_in_subprocess) as jobs:
        added = jobs.add("prices", replace(quick, base_model="/nowhere"), [catalogue])
        job = jobs.wait(added.id, LONG_S)
    assert job.state == "failed"
    assert "/nowhere" in job.message


def test_without_memory_micro_batches_are_halved_twice_and_it_says_so(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    tried: list[tuple[int, int]] = []

    def train(run: Run, watch: TrainingHooks) -> Trained:
        recipe = run.recipe
        tried.append((recipe.micro_batch_size, recipe.gradient_accumulation_steps))
        if recipe.micro_batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return in_process(run, watch)

    recipe = replace(quick, micro_batch_size=4, gradient_accumulation_steps=1)
    with Jobs(tmp_path, train) as jobs:
        job = jobs.wait(jobs.add("prices", recipe, [catalogue]).id, LONG_S)
        small = jobs.wait(
            jobs.add("small", replace(quick, micro_batch_size=8), [catalogue]).id, LONG_S
        )
    assert tried[:3] == [(4, 1), (2, 2), (1, 4)]
    assert job.state == "done"
    assert "micro batches of 1 instead of 2" in job.notes[1]
    assert job.progress == (8, 8)
    assert small.state == "failed"
    assert "out of memory" in small.message


def test_halving_keeps_the_rows_of_a_step(quick: Recipe) -> None:
    smaller = halved(replace(quick, micro_batch_size=24, gradient_accumulation_steps=2))
    assert smaller
    assert (smaller.micro_batch_size, smaller.gradient_accumulation_steps) == (12, 4)
    assert halved(replace(quick, micro_batch_size=1)) is None


def test_a_job_that_fails_does_not_end_the_queue(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    def train(run: Run, watch: TrainingHooks) -> Trained:
        if run.name == "bad":
            raise ZeroDivisionError("of no use")
        return in_process(run, watch)

    with Jobs(tmp_path, train) as jobs:
        bad, good = (jobs.add(name, quick, [catalogue]) for name in ("bad", "good"))
        assert jobs.wait(bad.id, LONG_S).message == "ZeroDivisionError: of no use"
        assert jobs.wait(good.id, LONG_S).state == "done"
        with pytest.raises(Conflict, match="done"):
            jobs.resume(good.id)
        with pytest.raises(Conflict, match="done"):
            jobs.pause(good.id)
        jobs.delete(good.id)
        with pytest.raises(UnknownJob):
            jobs.find(good.id)
        assert not list((tmp_path / "runs").glob("*good*"))


def test_rows_that_were_changed_meanwhile_are_not_trained(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    jobs = Jobs(tmp_path, in_process)
    job = jobs.add("prices", quick, [catalogue])
    job.run.files[0].write_text(json.dumps({"prompt": "a", "completion": "b"}))
    with jobs:
        done = jobs.wait(job.id, LONG_S)
    assert done.state == "failed"
    assert "not what the run was made of" in done.message


def test_only_one_server_trains_in_a_home(tmp_path: Path) -> None:
    with Jobs(tmp_path, in_process), pytest.raises(Conflict, match="another server"):
        Jobs(tmp_path, in_process).start()


def test_a_wrong_name_is_refused_before_anything_is_kept(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    with pytest.raises(InvalidSettings, match="no adapter name"):
        Jobs(tmp_path, in_process).add("../up", quick, [catalogue])
    assert not list(tmp_path.glob("runs/*"))


def test_the_runs_folder_holds_the_whole_recipe(
    tmp_path: Path, catalogue: Path, quick: Recipe
) -> None:
    job = Jobs(tmp_path, in_process).add("prices", quick, [catalogue])
    assert (job.run.folder / "recipe.yaml").read_text() == recipe_yaml(quick)
