"""Jobs of the kind ``train``: a run is trained, gets its report card, and is published if asked.

How a run is trained, its card made and its adapter published is handed in; knows no engine.
"""

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from finetune.recipe import Recipe
from finetune.training.checkpoints import (
    ADAPTER_FOLDER,
    CHECKPOINTS_FOLDER,
    RECIPE_FILE,
    SAMPLES_FILE,
    checkpoints,
    problem_of,
    step_of,
)
from finetune.training.hooks import Trained, TrainingHooks
from playground.errors import InvalidSettings, PlaygroundError
from playground.store.report_card_files import ReportCardFormat, report_cards_in
from playground.studio.jobs.index import Signature, signature_of
from playground.studio.jobs.job import Job
from playground.studio.jobs.kind import JobHooks
from playground.studio.jobs.kinds.memory import MAX_HALVINGS, halved, is_out_of_memory
from playground.studio.jobs.snapshot import JobSnapshot
from playground.studio.runs import Run, open_run, set_recipe

logger = logging.getLogger(__name__)

TRAIN = "train"
PUBLISH = "publish"
"""Key of a job's input: whether its adapter is published and promoted once it is done."""
PUBLISHED = "published"
"""Key of a job's result: the versions (``NAME/v2``) that came of it."""
MAX_OPEN_RUNS = 16

Trainer = Callable[[Run, TrainingHooks], Trained]
ReportCardMaker = Callable[[Run], str]
"""Writes a finished run's report card; returns a note for people, usually its verdict."""
Publisher = Callable[[Run], str]
"""Publishes and promotes a finished run's adapter; returns the version, ``NAME/v2``."""


class Sample(TypedDict):
    """An answer from the weights as they were after a step."""

    step: int
    prompt: str
    answer: str
    wanted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSnapshot(JobSnapshot):
    """A training job. ``recipe`` is None if its file cannot be read any more; ``checkpoints`` are
    those that can be resumed from, by step."""

    recipe: Recipe | None
    files: tuple[str, ...]
    evaluation_file: str | None
    samples: tuple[Sample, ...]
    checkpoints: tuple[Path, ...]
    adapter: Path | None
    report_card: Mapping[ReportCardFormat, Path]
    published: tuple[str, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps whose weights can be served: the checkpoints', and the finished adapter's."""
        steps = {step_of(checkpoint) for checkpoint in self.checkpoints}
        return tuple(sorted(steps | ({self.progress.done} if self.adapter else set())))


@dataclass(frozen=True, slots=True)
class _OpenRun:
    """A run's folder as it was read, with the signatures of the files that it was read from."""

    run: Run
    recipe: Recipe | None
    recipe_signature: Signature
    samples: tuple[Sample, ...]
    samples_signature: Signature
    whole: Mapping[Path, Signature]


class TrainKind:
    """Trains runs; see `playground.studio.jobs.kind.JobKind`.

    A run that was interrupted goes on from its last good checkpoint; one that was interrupted
    after training goes on with its report card.
    """

    name = TRAIN

    def __init__(
        self,
        train: Trainer,
        make_report_card: ReportCardMaker | None = None,
        publish: Publisher | None = None,
        discard: Callable[[str], None] | None = None,
    ) -> None:
        self._train = train
        self._make_report_card = make_report_card
        self._publish = publish
        self._discard = discard
        self._open_runs: OrderedDict[Path, _OpenRun] = OrderedDict()
        self._open_runs_lock = threading.Lock()

    def run(self, job: Job, hooks: JobHooks) -> Mapping[str, object] | None:
        """Train, make the report card, publish."""
        run = open_run(job.folder)
        if run.adapter is None:
            hooks.set_phase("training")
            if self._train_within_memory(run, hooks).folder is None:
                return None
        hooks.set_phase("report card")
        if self._make_report_card:
            try:
                hooks.add_note(self._make_report_card(run))
            except PlaygroundError as error:
                hooks.add_note(f"no report card: {error.message}")
        if self._publish and job.input.get(PUBLISH):
            return {PUBLISHED: [*published_of(job.result), self._publish(run)]}
        return {}

    def adopt(self, folder: Path) -> Job | None:
        """Make a job of a run of the command line; it stands where its files say."""
        try:
            run = open_run(folder)
        except InvalidSettings:
            return None
        adapter = run.adapter
        return Job(
            folder=folder,
            kind=TRAIN,
            name=run.name,
            state="done" if adapter else "stopped",
            created_s=_created_s(run),
            ended_s=adapter.stat().st_mtime if adapter else None,
        )

    def snapshot(self, basis: JobSnapshot) -> JobSnapshot:
        """Add recipe, files, samples, checkpoints, adapter, report card and published versions."""
        with self._open_runs_lock:
            opened = self._open(basis.folder)
        folder = basis.folder / ADAPTER_FOLDER
        adapter = folder if folder.is_dir() else None
        run = opened.run
        return TrainingSnapshot(
            **{field.name: getattr(basis, field.name) for field in fields(JobSnapshot)},
            recipe=opened.recipe,
            files=tuple(path.name for path in run.files),
            evaluation_file=run.evaluation.name if run.evaluation else None,
            samples=opened.samples,
            checkpoints=tuple(opened.whole),
            adapter=adapter,
            report_card=report_cards_in(folder) if adapter else {},
            published=published_of(basis.result),
        )

    def discard(self, job: Job) -> None:
        """Stop serving the job's checkpoints."""
        with self._open_runs_lock:
            self._open_runs.pop(job.folder, None)
        if self._discard:
            self._discard(job.id)

    def _train_within_memory(self, run: Run, hooks: JobHooks) -> Trained:
        training_hooks = TrainingHooks(stop_event=hooks.stop_event)
        for _ in range(MAX_HALVINGS):
            try:
                return self._train(run, training_hooks)
            except Exception as error:
                recipe = run.recipe
                smaller = halved(recipe) if is_out_of_memory(error) else None
                if smaller is None:
                    raise
                set_recipe(run, smaller)
                note = (
                    f"out of memory: micro batches of {smaller.micro_batch_size} instead of "
                    f"{recipe.micro_batch_size}, {smaller.gradient_accumulation_steps} of them a "
                    f"step instead of {recipe.gradient_accumulation_steps}"
                )
                logger.warning("run %s: %s", run.folder.name, note)
                hooks.add_note(note)
        return self._train(run, training_hooks)

    def _open(self, folder: Path) -> _OpenRun:
        """Read what is not read yet, or has changed since."""
        known = self._open_runs.get(folder)
        recipe_file, samples_file = folder / RECIPE_FILE, folder / SAMPLES_FILE
        recipe_signature, samples_signature = signature_of(recipe_file), signature_of(samples_file)
        same_recipe = known is not None and known.recipe_signature == recipe_signature
        same_samples = known is not None and known.samples_signature == samples_signature
        run = known.run if known else open_run(folder)
        opened = _OpenRun(
            run,
            known.recipe if known and same_recipe else _recipe_of(run),
            recipe_signature,
            known.samples if known and same_samples else _read_samples(samples_file),
            samples_signature,
            _whole_checkpoints(folder / CHECKPOINTS_FOLDER, known.whole if known else {}),
        )
        self._open_runs[folder] = opened
        self._open_runs.move_to_end(folder)
        while len(self._open_runs) > MAX_OPEN_RUNS:
            self._open_runs.popitem(last=False)
        return opened


def published_of(result: Mapping[str, object]) -> tuple[str, ...]:
    """Return the versions that a job's result names."""
    versions = result.get(PUBLISHED, ())
    return tuple(map(str, versions)) if isinstance(versions, (list, tuple)) else ()


def _created_s(run: Run) -> float:
    return datetime.fromisoformat(run.date).timestamp()


def _recipe_of(run: Run) -> Recipe | None:
    try:
        return run.recipe
    except (InvalidSettings, OSError):
        return None


def _whole_checkpoints(folder: Path, known: Mapping[Path, Signature]) -> dict[Path, Signature]:
    """Return those that can be resumed from. One that was found whole is not opened again."""
    whole = {}
    for checkpoint in checkpoints(folder):
        signature = signature_of(checkpoint)
        if known.get(checkpoint) == signature or problem_of(checkpoint) is None:
            whole[checkpoint] = signature
    return whole


def _read_samples(path: Path) -> tuple[Sample, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return ()
    samples: list[Sample] = []
    for line in text.splitlines():
        try:
            samples.append(json.loads(line))
        except ValueError:  # a kill may have cut it off
            continue
    return tuple(samples)
