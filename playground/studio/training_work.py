"""What the queue does for a training job: rows checked, trained, evaluated, published.

Works on the resident base while it serves. Knows no queue, no page and no HTTP.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.data.rows import RowError
from finetune.report import report
from finetune.training.hooks import Trained, TrainingHooks
from finetune.training.schedule import epochs_of
from playground.errors import Conflict, InvalidSettings
from playground.evaluation.report_card import ReportCard
from playground.evaluation.report_card_formats import write_report_card
from playground.models.loaded import LoadedModel
from playground.models.resident import ResidentModel
from playground.models.shared_weights import shared_weight_copy
from playground.protocol import AdapterBackend
from playground.store.adapters import AdapterStore, Version
from playground.store.report_card_files import ReportCardFormat
from playground.store.uploads import Uploads
from playground.studio.evaluation_rows import run_evaluation_sets
from playground.studio.jobs import JobHooks
from playground.studio.jobs.kinds.train import MadeCard, Published
from playground.studio.jobs.kinds.training_process import train_in_subprocess
from playground.studio.runs import Run, execute, open_dataset

ROWS, LEFT_OUT, TRAINED_TOKENS = "rows", "rows_left_out", "trained_tokens"
"""Keys of a job's result: rows in the files, those that are not trained on, and tokens trained."""
MAX_JUDGED_ROWS = 200
"""Rows of each set that a report card asks, unless told otherwise."""
RESULTS_PURPOSE = "fine-tune-results"
PROMOTE = "promote"
"""The verdict with which a version is promoted by itself."""
NAMED_ERRORS = 3


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """The parts that a training job needs; `playground.studio.jobs.kinds.train` calls them."""

    home: Path
    resident: ResidentModel
    host: AdapterBackend
    store: AdapterStore
    promote: Callable[[str, str], Version]
    throttle: Callable[[threading.Event], None] | None
    isolated: bool
    judged_rows: int

    def validate(self, run: Run, hooks: JobHooks) -> None:
        """Read and check the rows; say how many are left out.

        Raises `InvalidSettings` if none is left to train or to evaluate on, `PreparingStopped` once
        the hooks' event is set.
        """
        dataset, recipe = (
            open_dataset(run, self.resident.require_loaded(), hooks.stop_event),
            run.recipe,
        )
        summaries, checked = dataset.summaries(), report(dataset, recipe)
        errors: list[RowError] = []
        of_evaluation: list[RowError] = []
        by_file = dataset.errors_by_file(summaries, recipe.max_length)
        for file, found in zip(dataset.manifest.files, by_file, strict=True):
            (of_evaluation if file.is_evaluation else errors).extend(found)
        if checked.problems:
            raise InvalidSettings("; ".join(checked.problems) + _first(errors or of_evaluation))
        left_out = _num_rows(errors)
        unread = sum(error.code in ("unreadable", "format") for error in errors)
        rows = checked.rows + unread
        epochs = epochs_of(recipe, checked.num_trained)
        tokens = round(checked.num_trained_tokens * epochs)
        hooks.add_result({ROWS: rows, LEFT_OUT: left_out, TRAINED_TOKENS: tokens})
        if left_out:
            hooks.add_note(f"{left_out} of {rows} rows are left out{_first(errors)}")
        if checked.conflicts:
            row, earlier = checked.conflicts[0]
            hooks.add_note(
                f"{len(checked.conflicts)} rows answer a prompt otherwise than an earlier row; the "
                f"first is line {row}, as line {earlier} does"
            )
        if of_evaluation:
            number = _num_rows(of_evaluation)
            first = _first(of_evaluation)
            hooks.add_note(f"{number} rows of the evaluation file are left out{first}")

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
            run, loaded, self.host, self.store, self.judged_rows, stop_event
        )
        uploads = Uploads(self.home)
        files = tuple(uploads.keep(path, RESULTS_PURPOSE).id for path in paths.values())
        return MadeCard(card.verdict, files)

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
) -> tuple[ReportCard, Mapping[ReportCardFormat, Path]]:
    """Write a finished run's report card beside its adapter: against the promoted version of its
    name, if there is one. ``loaded`` is a shared-weight copy of what ``host`` serves.

    Raises `EvaluationStopped` once the event is set.
    """
    from playground.evaluation.run import report_card  # imports torch

    adapter, dataset = adapter_of(run), open_dataset(run, loaded)
    sets = run_evaluation_sets(dataset, run.recipe, loaded, run.home, judged_rows)
    adapters = [adapter]
    if run.name in store.names():
        before = store.find(run.name)
        adapters = [before.folder, adapter] if before.promoted else adapters
    card = report_card(host, loaded, adapters, sets, stop_event=stop_event)
    return card, write_report_card(card, adapter)


def adapter_of(run: Run) -> Path:
    """Return a finished run's adapter. Raises `Conflict` for another."""
    if run.adapter is None:
        raise Conflict(f"run {run.folder.name} has no adapter yet")
    return run.adapter


def _num_rows(errors: Sequence[RowError]) -> int:
    return len({(error.file, error.line) for error in errors})


def _first(errors: Sequence[RowError]) -> str:
    named = "; ".join(map(str, errors[:NAMED_ERRORS]))
    return f": {named}" if named else ""
