"""One job: a run's folder and ``state.json`` in it. Knows no queue and no thread."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from finetune.training.callbacks import Log, read_log
from finetune.training.checkpoints import (
    ADAPTER_FOLDER,
    CHECKPOINTS_FOLDER,
    METRICS_FILE,
    SAMPLES_FILE,
    checkpoints,
    problem_of,
)
from playground.errors import InvalidSettings
from playground.studio.runs import Run, open_run

State = Literal["queued", "running", "paused", "stopped", "failed", "done"]
Phase = Literal["", "training", "report card"]
STATE_FILE = "state.json"
CARD_STEM = "report-card"


@dataclass(frozen=True, slots=True)
class Job:
    """A run and where it stands. ``message`` says why it failed or what was changed on the way;
    ``published`` are the versions (``NAME/v2``) that came of it."""

    run: Run
    state: State
    phase: Phase = ""
    message: str = ""
    notes: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    queued_s: float = 0.0
    """When it was queued, in seconds since the epoch."""
    publishes: bool = False
    """Whether its adapter is published and promoted as soon as it is done."""

    @property
    def id(self) -> str:
        """The run's folder name."""
        return self.run.folder.name

    @property
    def live(self) -> bool:
        """Whether it runs or is going to."""
        return self.state in ("queued", "running")

    @property
    def log(self) -> list[Log]:
        """Its metrics: a line a step, and one an evaluation."""
        return _lines(self.run.folder / METRICS_FILE)

    @property
    def samples(self) -> list[Log]:
        """Answers from its weights on the way."""
        return _lines(self.run.folder / SAMPLES_FILE)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps done, steps in all; zeros before the first log."""
        last = next((line for line in reversed(self.log) if "steps" in line), {})
        return int(last.get("step", 0)), int(last.get("steps", 0))

    @property
    def seconds_left(self) -> float | None:
        """As its last step estimated."""
        if self.state != "running":
            return None
        last = next((line for line in reversed(self.log) if "seconds_left" in line), {})
        return last.get("seconds_left")

    @property
    def checkpoints(self) -> list[Path]:
        """Those that are whole, by step; the finished adapter is not among them."""
        return [
            c for c in checkpoints(self.run.folder / CHECKPOINTS_FOLDER) if problem_of(c) is None
        ]

    @property
    def adapter(self) -> Path | None:
        """The finished adapter."""
        return self.run.adapter

    def card(self, ending: str) -> Path | None:
        """Its report card as ``json``, ``md`` or ``html``, once it is made."""
        path = self.run.folder / ADAPTER_FOLDER / f"{CARD_STEM}.{ending}"
        return path if path.is_file() else None

    def changed(self, **values: Any) -> "Job":
        """The job with other values, written to its folder."""
        job = replace(self, **values)
        job.write()
        return job

    def write(self) -> None:
        """Keep where it stands."""
        body = {key: value for key, value in asdict(self).items() if key != "run"}
        temporary = self.run.folder / f".{STATE_FILE}"
        temporary.write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")
        temporary.replace(self.run.folder / STATE_FILE)


def open_job(folder: Path) -> Job:
    """The job in a run's folder; a run of the command line stands where its files say.

    Raises `InvalidSettings` if the folder is no run.
    """
    run = open_run(folder)
    try:
        body = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        if body["state"] not in get_args(State):
            raise ValueError(body["state"])
        body |= {name: tuple(body[name]) for name in ("notes", "published")}
        return Job(run, **body)
    except (OSError, ValueError, KeyError, TypeError):
        return Job(run, "done" if run.adapter else "stopped")


def jobs_in(home: Path) -> Iterator[Job]:
    """All jobs of a home, the oldest first."""
    for path in sorted((home / "runs").glob("*/run.json")):
        try:
            yield open_job(path.parent)
        except InvalidSettings:
            continue


def _lines(path: Path) -> list[Log]:
    return read_log(path) if path.is_file() else []
