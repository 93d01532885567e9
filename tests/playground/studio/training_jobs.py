"""Training jobs for tests: real ones, scripted ones, and report cards that end or do not."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from finetune.recipe import Recipe
from finetune.training.hooks import Trained, TrainingHooks
from playground.evaluation.report_card import EvaluationStopped
from playground.jobs import Jobs, JobSnapshot
from playground.jobs.job import read_job
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.studio.kinds.train import (
    PUBLISH,
    TRAIN,
    MadeCard,
    Published,
    ReportCardMaker,
    Trainer,
    TrainingSnapshot,
    TrainKind,
)
from playground.studio.runs import Run, execute, new_run

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


class TrainingJobs(Jobs):
    """A queue of training jobs alone."""

    def __init__(
        self, home: Path, train: Trainer, make_report_card: ReportCardMaker | None = None
    ) -> None:
        super().__init__(home / "runs", [TrainKind(train, make_report_card, publish)], "train")
        self.home = home

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
