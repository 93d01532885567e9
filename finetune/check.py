"""Checks a data set against a recipe: its report, and how many of its rows are left out.

Of many rows this is done in a process of its own (``python -m`` this module), which whoever asks
may stop. The child writes its result into a file; it needs no torch, which takes longer to import
than the rows of a usual file to count.
"""

import gc
import os
import pickle
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from finetune.child_process import WorkStopped, read_work, run_child
from finetune.data.dataset import Dataset
from finetune.data.findings import RowError
from finetune.recipe import Recipe
from finetune.report import DataReport, count_rows, with_seconds

MODULE = "finetune.check"
PROCESS_ROWS = 5_000
"""Rows from which a process of its own is worth the two seconds that it takes to start."""
NAMED_ERRORS = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that are not used, and the errors of the first."""

    rows: int
    first: tuple[RowError, ...]

    def __str__(self) -> str:
        """The errors behind a colon; nothing if there are none."""
        named = "; ".join(map(str, self.first))
        return f": {named}" if named else ""


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """A data set's report; ``rows`` are all of the training files, readable or not."""

    report: DataReport
    rows: int
    left_out: LeftOut
    left_out_of_evaluation: LeftOut


@dataclass(frozen=True, slots=True)
class _CheckWork:
    folder: Path
    home: Path
    recipe: Recipe
    niceness: int
    result: Path


def check_rows(
    dataset: Dataset,
    recipe: Recipe,
    stop_event: threading.Event | None = None,
    niceness: int = 0,
) -> CheckedRows:
    """Check a data set, in a process of its own if it has many rows.

    Raises `WorkStopped` within a moment of the event, `RequestFailed` if that process fails.
    """
    if dataset.num_rows < PROCESS_ROWS:
        if stop_event and stop_event.is_set():
            raise WorkStopped
        return _with_seconds(_check(dataset, recipe), recipe, dataset)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        work = _CheckWork(dataset.folder, dataset.home, recipe, niceness, result)
        run_child(MODULE, work, Path(folder) / "log", lambda _: None, stop_event)
        checked: CheckedRows = pickle.loads(result.read_bytes())
    return _with_seconds(checked, recipe, dataset)


def _with_seconds(checked: CheckedRows, recipe: Recipe, dataset: Dataset) -> CheckedRows:
    return replace(checked, report=with_seconds(checked.report, recipe, dataset.home))


def _check(dataset: Dataset, recipe: Recipe) -> CheckedRows:
    summaries = dataset.summaries()
    by_file = dataset.errors_by_file(summaries, recipe.max_length)
    errors: list[RowError] = []
    of_evaluation: list[RowError] = []
    for file, found in zip(dataset.manifest.files, by_file, strict=True):
        (of_evaluation if file.is_evaluation else errors).extend(found)
    checked = count_rows(dataset, summaries, [*errors, *of_evaluation], recipe)
    unread = sum(error.code in ("unreadable", "format") for error in errors)
    rows = checked.rows + unread
    return CheckedRows(checked, rows, _left_out(errors), _left_out(of_evaluation))


def _left_out(errors: Sequence[RowError]) -> LeftOut:
    number = len({(error.file, error.line) for error in errors})
    return LeftOut(number, tuple(errors[:NAMED_ERRORS]))


def main() -> None:
    """Check what standard input describes."""
    work = cast(_CheckWork, read_work())
    os.nice(work.niceness)
    gc.disable()  # what is made stays until the end, and to look through it takes half of the time
    checked = _check(Dataset(work.folder, work.home), work.recipe)
    work.result.write_bytes(pickle.dumps(checked))


if __name__ == "__main__":
    from finetune.check import main as imported_main

    imported_main()  # so that its classes are pickled by this module's name
