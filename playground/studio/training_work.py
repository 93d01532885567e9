"""What the queue does for a training job: rows checked, trained, evaluated, published.

Works on the resident base while it serves. Knows no queue, no page and no HTTP.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.check import check_rows
from finetune.child_process import NICENESS, WorkStopped
from finetune.training.adapter_card import read_card
from finetune.training.hooks import Trained, TrainingHooks
from finetune.training.schedule import epochs_of
from playground.errors import Conflict, InvalidSettings, PlaygroundError
from playground.evaluation.report_card import EvaluationStopped, ReportCard
from playground.evaluation.report_card_formats import write_report_card
from playground.evaluation.report_card_reading import card_of_tasks
from playground.evaluation.task_changes import TaskChange
from playground.jobs import JobHooks
from playground.models.loaded import LoadedModel
from playground.models.resident import ResidentModel
from playground.models.shared_weights import shared_weight_copy
from playground.protocol import AdapterBackend
from playground.store.adapters import AdapterStore, Version
from playground.store.report_card_files import ReportCardFormat
from playground.store.uploads import Uploads
from playground.studio.evaluation_rows import run_evaluation_sets
from playground.studio.kinds.train import MadeCard, Published
from playground.studio.kinds.training_process import train_in_subprocess
from playground.studio.public_tasks import BASE, ask_public_tasks, check_public_tasks
from playground.studio.runs import Run, execute, open_dataset
from playground.studio.training_advice import (
    TrainingFacts,
    num_trained_rows,
    read_metrics,
    suited_learning_rate,
    training_advice,
)

ROWS, LEFT_OUT, TRAINED_TOKENS = "rows", "rows_left_out", "trained_tokens"
"""Keys of a job's result: rows in the files, those that are not trained on, and tokens trained."""
MAX_JUDGED_ROWS = 200
"""Rows of each set that a report card asks, unless told otherwise."""
RESULTS_PURPOSE = "fine-tune-results"
TRAINING = "training"
"""Key of a report card's ``made_of``: processes, and the peak of memory in one, in bytes."""
PROMOTE = "promote"
"""The verdict with which a version is promoted by itself."""


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """The parts that a training job needs; `playground.studio.kinds.train` calls them."""

    home: Path
    resident: ResidentModel
    host: AdapterBackend
    store: AdapterStore
    promote: Callable[[str, str], Version]
    throttle: Callable[[threading.Event], None] | None
    isolated: bool
    judged_rows: int
    task_folders: Sequence[Path] = ()

    def validate(self, run: Run, hooks: JobHooks) -> int:
        """Read and check the rows; say how many are left out; load the public tasks. Returns the
        optimizer steps.

        Raises `InvalidSettings` if no row is left to train or to evaluate on, and for a task that
        cannot be asked; `WorkStopped` once the hooks' event is set.
        """
        loaded, recipe = self.resident.require_loaded(), run.recipe
        check_public_tasks(recipe, self.task_folders, loaded.context_length)
        dataset = open_dataset(run, loaded, hooks.stop_event)
        found = check_rows(dataset, recipe, hooks.stop_event, NICENESS)
        checked, left_out, of_evaluation = (
            found.report,
            found.left_out,
            found.left_out_of_evaluation,
        )
        if checked.problems:
            named = left_out if left_out.rows else of_evaluation
            raise InvalidSettings("; ".join(checked.problems) + str(named))
        epochs = epochs_of(recipe, checked.num_trained)
        tokens = round(checked.num_trained_tokens * epochs)
        hooks.add_result({ROWS: found.rows, LEFT_OUT: left_out.rows, TRAINED_TOKENS: tokens})
        if left_out.rows:
            hooks.add_note(f"{left_out.rows} of {found.rows} rows are left out{left_out}")
        if checked.conflicts:
            row, earlier = checked.conflicts[0]
            hooks.add_note(
                f"{len(checked.conflicts)} rows contradict an earlier row; the first: "
                f"{row.file}:{row.line}, which contradicts {earlier.file}:{earlier.line}"
            )
        if of_evaluation.rows:
            number = of_evaluation.rows
            hooks.add_note(f"{number} rows of the evaluation file are left out{of_evaluation}")
        return checked.steps

    def train(self, run: Run, hooks: TrainingHooks) -> Trained:
        """Train the run beside the requests, or in a process of its own."""
        if self.isolated:
            return train_in_subprocess(run, hooks)
        loaded, recipe = self.resident.require_loaded(), run.recipe
        spec = loaded.spec
        if (recipe.base_model, recipe.quantization) != (spec.source, spec.quantization):
            raise InvalidSettings(
                f"the recipe's base is {recipe.base_model} ({recipe.quantization}), and "
                f"{spec.source} ({spec.quantization}) is resident; train it with --isolated"
            )
        import torch  # takes seconds; the page is built without it

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return execute(run, loaded, replace(hooks, throttle=self.throttle))

    def make_card(self, run: Run, stop_event: threading.Event) -> MadeCard:
        """Write the report card beside the adapter, and among the uploads."""
        loaded = shared_weight_copy(self.resident.require_loaded())
        card, paths = make_run_card(
            run, loaded, self.host, self.store, self.judged_rows, stop_event, self.task_folders
        )
        uploads = Uploads(self.home)
        files = tuple(uploads.keep(path, RESULTS_PURPOSE).id for path in paths.values())
        told = (*map(str, card.advice), *([card.forgotten] if card.tasks else []))
        return MadeCard(card.verdict, files, told)

    def publish(self, run: Run, verdict: str) -> Published:
        """Make the adapter the next version of its name, promoted if its card says so."""
        version = self.store.publish(adapter_of(run), run.name)
        promoted = verdict == PROMOTE
        if promoted:
            self.promote(version.name, version.version)
        return Published(f"{version.name}/{version.version}", promoted)


def make_run_card(
    run: Run,
    loaded: LoadedModel,
    host: AdapterBackend,
    store: AdapterStore,
    judged_rows: int,
    stop_event: threading.Event,
    task_folders: Sequence[Path] = (),
) -> tuple[ReportCard, Mapping[ReportCardFormat, Path]]:
    """Write a finished run's report card beside its adapter: against the promoted version of its
    name, if there is one, and against the base on the recipe's public tasks. ``loaded`` is a
    shared-weight copy of what ``host`` serves.

    Tasks that fail are named on the card, whose other parts stay. Raises `EvaluationStopped` once
    the event is set.
    """
    from playground.evaluation.run import report_card  # imports torch

    adapter = adapter_of(run)
    tasks, problems = _public_tasks(run, host, task_folders, stop_event)
    try:
        dataset = open_dataset(run, loaded, stop_event)
        sets = run_evaluation_sets(dataset, run.recipe, loaded, judged_rows, stop_event)
    except WorkStopped:
        raise EvaluationStopped from None
    except InvalidSettings as error:  # as of rows of text, which have no answers
        if not tasks:
            raise
        card = card_of_tasks((BASE, run.name), tasks)
        card = replace(card, reasons=(*card.reasons, error.message))
        return card, write_report_card(card, adapter)
    adapters = [adapter]
    if run.name in store.names():
        before = store.find(run.name)
        adapters = [before.folder, adapter] if before.promoted else adapters
    card = report_card(host, loaded, adapters, sets, stop_event=stop_event)
    facts = TrainingFacts(
        run.recipe,
        num_trained_rows(adapter),
        read_metrics(run.folder),
        suited_learning_rate(run.recipe.base_model, run.folder.parents[1]),
    )
    made_of = {**card.made_of, TRAINING: training_facts(adapter)}
    card = replace(
        card,
        advice=training_advice(card, facts),
        made_of=made_of,
        reasons=(*card.reasons, *problems),
        tasks=tasks,
    )
    return card, write_report_card(card, adapter)


def _public_tasks(
    run: Run, host: AdapterBackend, folders: Sequence[Path], stop_event: threading.Event
) -> tuple[tuple[TaskChange, ...], tuple[str, ...]]:
    """Ask the recipe's public tasks; returns what came of them, or why they could not be asked."""
    try:
        home, adapter = run.home, adapter_of(run)
        return ask_public_tasks(run.recipe, folders, host, adapter, home, stop_event), ()
    except PlaygroundError as error:
        return (), (f"public tasks were not asked: {error.message}",)


def training_facts(adapter: Path) -> dict[str, object]:
    """Return in how many processes an adapter was trained, and the bytes that one of them took."""
    metrics = (read_card(adapter) or {}).get("metrics")
    known = metrics if isinstance(metrics, dict) else {}
    return {name: known[name] for name in ("processes", "peak_bytes") if name in known}


def adapter_of(run: Run) -> Path:
    """Return a finished run's adapter. Raises `Conflict` for another."""
    if run.adapter is None:
        raise Conflict(f"run {run.folder.name} has no adapter yet")
    return run.adapter
