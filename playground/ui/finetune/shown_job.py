"""A job as the page shows it: everything is read from the job's folder once, here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from playground.protocol.json_types import Json
from playground.studio.jobs import Job
from playground.studio.training import step_of


@dataclass(frozen=True)
class ShownJob:
    """A job whose files are read when they are first needed, and once."""

    job: Job

    @property
    def id(self) -> str:
        """The run's folder name."""
        return self.job.id

    @property
    def name(self) -> str:
        """The name that its adapter gets."""
        return self.job.run.name

    @property
    def state(self) -> str:
        """One of the job's states."""
        return self.job.state

    @property
    def phase(self) -> str:
        """What it does while it runs."""
        return self.job.phase

    @property
    def message(self) -> str:
        """Why it failed."""
        return self.job.message

    @property
    def remarks(self) -> list[str]:
        """What was changed on the way, and the versions that were published."""
        return [*self.job.notes, *(f"published as {version}" for version in self.job.published)]

    @cached_property
    def log(self) -> Sequence[Mapping[str, float]]:
        """Its metrics."""
        return self.job.log

    @cached_property
    def samples(self) -> Sequence[Mapping[str, Json]]:
        """Answers of its checkpoints."""
        return self.job.samples

    @cached_property
    def progress(self) -> tuple[int, int]:
        """Steps done, and all steps; zeros before the first log line."""
        return self.job.progress

    @cached_property
    def epochs(self) -> float:
        """The recipe's number of epochs."""
        return self.job.run.recipe.num_train_epochs

    @cached_property
    def seconds_left(self) -> float | None:
        """An estimate."""
        return self.job.seconds_left

    @property
    def finished(self) -> bool:
        """Whether its adapter is there."""
        return self.job.adapter is not None

    @cached_property
    def saved_steps(self) -> list[int]:
        """Steps whose weights can be tried: checkpoints, and the end."""
        steps = {step_of(folder) for folder in self.job.checkpoints}
        return sorted(steps | ({self.progress[0]} if self.finished else set()))

    @cached_property
    def report_card(self) -> str:
        """Its report card as a page, empty until it is made."""
        path = self.job.card("html")
        return path.read_text(encoding="utf-8") if path else ""

    @cached_property
    def report_card_files(self) -> list[Path]:
        """The report card's files; none until all of them are there."""
        paths = [self.job.card(ending) for ending in ("html", "json", "md")]
        files = [path for path in paths if path]
        return files if len(files) == len(paths) else []

    def signature(self) -> str:
        """Return a text that changes when anything that is shown of this job changes."""
        counts = len(self.log), len(self.samples)
        return repr((self.listed(), counts, self.job.notes, self.job.published))

    def listed(self) -> tuple[str, str, str, int]:
        """Return what the list shows. Only a running job's log is read: this is called for every
        job, every second.
        """
        step = self.progress[0] if self.state == "running" else 0
        return self.id, self.state, self.phase, step
