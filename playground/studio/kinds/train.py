"""Jobs of the kind ``train``: a run is trained, gets its report card, and is published if asked.

How a run is trained, its card made and its adapter published is handed in; knows no engine.
"""

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from finetune.child_process import WorkStopped
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
from playground.evaluation.report_card import EvaluationStopped
from playground.jobs.index import Signature, signature_of
from playground.jobs.job import Job, State
from playground.jobs.kind import JobHooks
from playground.jobs.snapshot import JobSnapshot
from playground.store.report_card_files import ReportCardFormat, report_cards_in
from playground.studio.kinds.memory import MAX_HALVINGS, halved, is_out_of_memory
from playground.studio.run_lock import is_training
from playground.studio.runs import Run, open_run, set_recipe

logger = logging.getLogger(__name__)

TRAIN = "train"
PUBLISH = "publish"
"""Key of a job's input: whether its adapter is published and promoted once it is done."""
PUBLISHED = "published"
"""Key of a job's result: the versions (``NAME/v2``) that came of it."""
N_EVALS, N_CHECKPOINTS = "n_evals", "n_checkpoints"
"""Keys of a job's input: how many evaluations and checkpoints a training is to have. Its rows say
how many steps there are, so that they decide the recipe's ``eval_steps`` and ``save_steps``."""
PROMOTED, RESULT_FILES = "promoted", "result_files"
"""Keys of a job's result: whether the version was promoted; ids of the report card's files."""
VALIDATING, TRAINING, REPORT_CARD, PUBLISHING = (
    "validating files", "training", "report card", "publishing",
)  # fmt: skip
"""A job's phases, in their order."""
MAX_OPEN_RUNS = 16

Validator = Callable[[Run, JobHooks], int]
"""Reads and checks a run's rows; returns its optimizer steps. Raises `InvalidSettings` if nothing
would be trained."""
Trainer = Callable[[Run, TrainingHooks], Trained]


@dataclass(frozen=True, slots=True)
class MadeCard:
    """A run's report card: its verdict, the ids of its files among the uploads, and sentences:
    what to change in the next training, and what became of public tasks."""

    verdict: str
    files: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A version in the store, ``NAME/v2``, and whether it was promoted."""

    version: str
    promoted: bool


ReportCardMaker = Callable[[Run, threading.Event], MadeCard]
"""Writes a finished run's report card; raises `EvaluationStopped` once the event is set."""
Publisher = Callable[[Run, str], Published]
"""Publishes a finished run's adapter; promotes it if the verdict, the second argument, says so."""


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
    """Trains runs; see `playground.jobs.kind.JobKind`.

    Rows are checked first. A run that was interrupted goes on from its last good checkpoint; one
    that was interrupted after training goes on with its report card.
    """

    name = TRAIN

    def __init__(
        self,
        train: Trainer,
        make_report_card: ReportCardMaker | None = None,
        publish: Publisher | None = None,
        discard: Callable[[str], None] | None = None,
        validate: Validator | None = None,
    ) -> None:
        self._validate = validate
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
            if self._validate:
                hooks.set_phase(VALIDATING)
                try:
                    _spread_over_steps(run, job.input, self._validate(run, hooks))
                except WorkStopped:
                    return None
            if hooks.stop_event.is_set():
                return None
            hooks.set_phase(TRAINING)
            if self._train_within_memory(run, hooks).folder is None:
                return None
        card = self._card(run, hooks)
        if not (self._publish and job.input.get(PUBLISH)):
            return None if hooks.stop_event.is_set() else {}
        if not hooks.commit():
            return None
        hooks.set_phase(PUBLISHING)
        published = self._publish(run, card.verdict)
        hooks.add_note(_publishing_note(published))
        versions = [*published_of(job.result), published.version]
        return {PUBLISHED: versions, PROMOTED: published.promoted}

    def _card(self, run: Run, hooks: JobHooks) -> MadeCard:
        """Make the report card; one without a verdict if it was interrupted or is not possible."""
        if self._make_report_card and not hooks.stop_event.is_set():
            hooks.set_phase(REPORT_CARD)
            try:
                card = self._make_report_card(run, hooks.stop_event)
            except EvaluationStopped:
                pass
            except PlaygroundError as error:
                hooks.add_note(f"no report card: {error.message}")
            else:
                hooks.add_note(f"verdict: {card.verdict}")
                for sentence in card.told:
                    hooks.add_note(sentence)
                hooks.add_result({RESULT_FILES: list(card.files)})
                return card
        return MadeCard("")

    def adopt(self, folder: Path) -> Job | None:
        """Make a job of a run of the command line; it stands where its files and its lock say."""
        try:
            run = open_run(folder)
        except InvalidSettings:
            return None
        adapter = run.adapter
        state: State = "done" if adapter else "running" if is_training(folder) else "stopped"
        return Job(
            folder=folder,
            kind=TRAIN,
            name=run.name,
            state=state,
            phase=TRAINING if state == "running" else "",
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
        training_hooks = TrainingHooks(stop_event=hooks.stop_event, on_wait=hooks.add_note)
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


def _spread_over_steps(run: Run, asked: Mapping[str, object], steps: int) -> None:
    """Evaluate and save as often as the job's input asks, at even distances."""
    names = ((N_EVALS, "eval_steps"), (N_CHECKPOINTS, "save_steps"))
    counts = {field: asked[name] for name, field in names if asked.get(name)}
    changes: dict[str, Any] = {
        field: max(1, steps // count) for field, count in counts.items() if isinstance(count, int)
    }
    if changes:
        set_recipe(run, replace(run.recipe, **changes))


def _publishing_note(published: Published) -> str:
    if published.promoted:
        return f"{published.version} is promoted"
    return f"{published.version} is not promoted: its report card does not say so"


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
