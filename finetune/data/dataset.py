"""A data set: files of rows, read, checked and tokenized once, kept under ``PLAYGROUND_HOME``.

    datasets/HASH/rows.parquet   for each row its JSON, its place, and every example's token ids
                  dataset.json   files, formats, repeats, unreadable records, the hash of all tokens

HASH follows from the files' names and contents, the column mapping, the tokenizer and the format's
version, so what is
found there is never stale; a folder may be deleted at any time and is made anew when it is needed.
Nothing in it depends on a recipe: report, plan, job and report card select from the same data set.
Nothing is dropped on the way: records = rows with an example + rows named in an error.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow.lib import ArrowException

from finetune.child_process import WorkStopped
from finetune.data.examples import AnyExample, cut_lengths
from finetune.data.findings import RowError
from finetune.data.formats import NO_COLUMNS, to_row
from finetune.data.prepare_process import PrepareWork, write_in_process
from finetune.data.split import is_held_out, prompt_key
from finetune.data.storage import (
    ROWS_FILE,
    Manifest,
    RowSummary,
    dataset_key,
    describe_files,
    read_examples,
    read_manifest,
    read_places,
    read_summaries,
    write_dataset,
)
from finetune.data.tokenize import TokenizedRow, fit, too_long_error
from finetune.data.workers import prepare_here
from finetune.recipe import Recipe
from playground.errors import InvalidSettings
from playground.files import atomic_folder
from playground.models.tokenizer import ChatTokenizer

DATASETS_FOLDER = "datasets"
PROCESS_BYTES = 1_000_000
"""Files of so many bytes together are prepared in processes of their own; it takes two seconds to
start them."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a run trains on: ``train`` and ``eval`` are of one kind of example.

    ``replay`` holds general rows against forgetting. ``sha256`` is of the data set that this was
    selected from; ``train_rows`` and ``eval_rows`` are the places of its rows there.
    """

    train: Sequence[AnyExample]
    eval: Sequence[AnyExample] = ()
    replay: Sequence[AnyExample] = ()
    errors: tuple[RowError, ...] = ()
    num_too_long: int = 0
    sha256: str = ""
    train_rows: tuple[int, ...] = ()
    eval_rows: tuple[int, ...] = ()
    trained_prompts: tuple[str, ...] = ()
    """Keys (`prompt_key`) of the prompts of ``train_rows``, sorted."""

    @classmethod
    def of(
        cls,
        train: Sequence[AnyExample],
        eval: Sequence[AnyExample] = (),
        replay: Sequence[AnyExample] = (),
    ) -> "TrainingData":
        """Data that was made in memory, with its hash."""
        digest = hashlib.sha256(repr((train, eval, replay)).encode())
        return cls(train, eval, replay, sha256=digest.hexdigest())

    def with_replay(self, replay: "TrainingData") -> "TrainingData":
        """The same with the rows that another selection trains on as replay."""
        both = hashlib.sha256(f"{self.sha256}\n{replay.sha256}".encode()).hexdigest()
        return replace(self, replay=replay.train, sha256=both)


@dataclass(frozen=True, slots=True)
class Split:
    """Places of the rows to train on and of those held out for evaluation."""

    train: tuple[int, ...]
    eval: tuple[int, ...]


class Dataset:
    """Prepared rows; columns are read from disk when they are asked for.

    Made by `prepare`. Stays usable if its folder is deleted meanwhile.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        self.manifest: Manifest = read_manifest(folder)
        self._parquet = pq.ParquetFile(folder / ROWS_FILE, memory_map=True)

    @property
    def sha256(self) -> str:
        """Hash of all token ids, of what is trained of them, and of what evaluates."""
        return self.manifest.sha256

    @property
    def num_rows(self) -> int:
        """Rows of all files that could be read."""
        return int(self._parquet.metadata.num_rows)

    def summaries(self) -> list[RowSummary]:
        """Every row without its text and tokens, in the files' order; an evaluation file's last."""
        return read_summaries(self._parquet)

    def rows(self, places: Collection[int]) -> list[TokenizedRow]:
        """Rows with their examples, in the files' order."""
        return [
            TokenizedRow(to_row(json.loads(text), line).row, tuple(examples))
            for line, text, examples in read_places(self._parquet, places)
        ]

    def is_evaluation(self, row: RowSummary) -> bool:
        """Whether the row is of the separate evaluation file."""
        return self.manifest.files[row.file].is_evaluation

    def split(self, summaries: Sequence[RowSummary], recipe: Recipe) -> Split:
        """The rows of an evaluation file are held out, or else a fraction by each row's hash."""
        has_file = any(file.is_evaluation for file in self.manifest.files)
        fraction = 0.0 if has_file else recipe.eval_fraction
        held_out = [
            self.is_evaluation(row) or is_held_out(row.prompt, fraction, recipe.seed)
            for row in summaries
        ]
        return Split(
            tuple(place for place, held in enumerate(held_out) if not held),
            tuple(place for place, held in enumerate(held_out) if held),
        )

    def used_rows(self, summaries: Sequence[RowSummary], recipe: Recipe) -> Split:
        """The rows of which `select` takes an example, without reading their tokens."""
        split = self.split(summaries, recipe)
        fits = [bool(fitting_lengths(row, recipe.max_length)) for row in summaries]
        return Split(
            tuple(place for place in split.train if fits[place]),
            tuple(place for place in split.eval if fits[place]),
        )

    def errors(self, summaries: Sequence[RowSummary], max_length: int) -> list[RowError]:
        """Every error file by file: records that cannot be read, rows that the template refuses,
        and examples of more than ``max_length`` tokens. Those of an evaluation file come last."""
        return [error for errors in self.errors_by_file(summaries, max_length) for error in errors]

    def errors_by_file(
        self, summaries: Sequence[RowSummary], max_length: int
    ) -> list[list[RowError]]:
        """The same, as the manifest orders its files."""
        by_file: list[list[RowError]] = [[] for _ in self.manifest.files]
        for number, error in self.manifest.errors:
            by_file[number].append(error)
        for row in summaries:
            by_file[row.file] += row_errors(row, self.manifest.files[row.file].name, max_length)
        return by_file

    def select(self, recipe: Recipe) -> TrainingData:
        """What a run of this recipe trains on: cut or checked to ``max_length``, and split."""
        summaries = self.summaries()
        split = self.split(summaries, recipe)
        held_out = set(split.eval)
        sides: tuple[list[AnyExample], list[AnyExample]] = ([], [])
        used: tuple[list[int], list[int]] = ([], [])
        for place, (row, examples) in enumerate(
            zip(summaries, read_examples(self._parquet), strict=True)
        ):
            fitting, _ = fit(examples, recipe.max_length, is_text=row.kind == "text")
            if fitting:
                sides[place in held_out].extend(fitting)
                used[place in held_out].append(place)
        errors = self.errors(summaries, recipe.max_length)
        return TrainingData(
            *sides,
            errors=tuple(errors),
            num_too_long=sum(error.code == "too_long" for error in errors),
            sha256=self.sha256,
            train_rows=tuple(used[0]),
            eval_rows=tuple(used[1]),
            trained_prompts=tuple(sorted({prompt_key(summaries[at].prompt) for at in used[0]})),
        )


Fitting = Sequence[tuple[int, int]]
"""Length and trained tokens of each example of a row that fits."""


def fitting_lengths(row: RowSummary, max_length: int) -> Fitting:
    """Return what fits of a row, as `Dataset.select` would cut it."""
    if row.kind == "text":
        return [(n, n) for length in row.lengths for n in cut_lengths(length, max_length)]
    both = zip(row.lengths, row.num_trained, strict=True)
    return [(length, trained) for length, trained in both if length <= max_length]


def row_errors(row: RowSummary, file: str, max_length: int) -> list[RowError]:
    """A row's errors: the template's, or one for each example that is too long."""
    if row.error_field is not None:
        problem = row.error_problem or ""
        return [RowError(file, row.line, row.error_field, problem, "template")]
    if row.kind == "text":
        return []
    field = "messages" if row.kind == "conversation" else "prompt"
    return [
        too_long_error(file, row.line, field, length, max_length)
        for length in row.lengths
        if length > max_length
    ]


@dataclass(frozen=True, slots=True)
class PrepareHooks:
    """How `prepare` reports, and how it is stopped.

    ``on_rows`` is told how many rows are done. ``niceness`` is added to that of the processes which
    large files are prepared in.
    """

    on_rows: Callable[[int], None] | None = None
    stop_event: threading.Event | None = None
    niceness: int = 0


def prepare(
    files: Sequence[Path],
    tokenizer: ChatTokenizer,
    home: Path,
    evaluation: Path | None = None,
    columns: Mapping[str, str] = NO_COLUMNS,
    hooks: PrepareHooks = PrepareHooks(),
) -> Dataset:
    """Return the files' data set, from ``home/datasets`` if it was made before.

    The rows of ``evaluation`` are held out; ``columns`` maps other names of columns to fields.
    Large files are prepared in processes of their own. Raises `OSError` if a file cannot be opened,
    `WorkStopped` once the event of the hooks is set.
    """
    described = describe_files(files, evaluation)
    folder = home / DATASETS_FOLDER / dataset_key(described, tokenizer, columns)
    dataset = _open(folder, home)
    if dataset is None:
        shutil.rmtree(folder, ignore_errors=True)
        paths = [*files, *([evaluation] if evaluation else [])]
        with suppress(FileExistsError), atomic_folder(folder) as new:  # made by another meanwhile
            work = PrepareWork(new, paths, described, dict(columns), hooks.niceness)
            _write(work, tokenizer, hooks)
            if describe_files(files, evaluation) != described:
                raise InvalidSettings("a file of rows changed while it was read; try again")
        dataset = Dataset(folder, home)
    return dataset


def _write(work: PrepareWork, tokenizer: ChatTokenizer, hooks: PrepareHooks) -> None:
    if sum(path.stat().st_size for path in work.paths) >= PROCESS_BYTES:
        write_in_process(work, tokenizer, hooks.on_rows, hooks.stop_event)
        return

    def check_stop() -> None:
        if hooks.stop_event and hooks.stop_event.is_set():
            raise WorkStopped

    write_dataset(
        work.folder,
        work.paths,
        work.files,
        lambda batches: prepare_here(batches, tokenizer, work.columns, check_stop),
        hooks.on_rows,
    )


def _open(folder: Path, home: Path) -> Dataset | None:
    """The data set of a folder, or None if it is missing or damaged."""
    try:
        return Dataset(folder, home)
    except (OSError, ValueError, KeyError, TypeError, ArrowException):
        return None
