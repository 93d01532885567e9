"""A data set's two files: how rows are written to Parquet and read back, a few columns at a time.

Knows rows, tokens and files; knows no recipe.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finetune.data.batch import SCHEMA, PreparedBatch, RecordBatch, RowKind
from finetune.data.conflicts import HashArray, find_conflicts
from finetune.data.duplicates import RepeatFinder, Repeats
from finetune.data.examples import (
    MASKED,
    AnyExample,
    PreferencePair,
    TrainingExample,
    UnpairedExample,
)
from finetune.data.findings import Finding, FindingCode, Findings, RowError
from finetune.data.formats import NO_COLUMNS
from finetune.data.sources import records
from finetune.data.tokenize import fingerprint
from playground.models.tokenizer import ChatTokenizer

BatchMap = Callable[[Iterator[RecordBatch]], Iterator[tuple[RecordBatch, PreparedBatch]]]
"""Prepares batches, and yields them in their order."""
FORMAT_VERSION = 7
"""Raise it whenever the same file would give other rows, tokens or columns than before."""
RENDERERS = ("mistral-common", "transformers")
"""Packages whose version decides how a conversation becomes tokens."""
ROWS_FILE, DATA_FILE = "rows.parquet", "dataset.json"
ROWS_A_GROUP = 1024
"""Records of a batch, whose rows are a row group of the file."""
SUMMARY_COLUMNS = [
    name for name in SCHEMA.names if name not in ("row", "token_ids", "trained")
]  # fmt: skip
EXAMPLE_COLUMNS = ["kind", "label", "token_ids", "trained"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a data set was read from."""

    name: str
    sha256: str
    is_evaluation: bool


@dataclass(frozen=True, slots=True)
class RowSummary:
    """A stored row without its text and tokens; ``lengths`` and ``num_trained`` have a number for
    each example."""

    file: int
    line: int
    kind: RowKind
    label: bool | None
    prompt: str
    turns: int
    language: str
    lengths: Sequence[int]
    num_trained: Sequence[int]
    error_field: str | None
    error_problem: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``dataset.json`` says. Positions count the rows of all files, in their order."""

    files: tuple[SourceFile, ...]
    formats: Mapping[str, int]
    errors: tuple[tuple[int, RowError], ...]
    notes: tuple[Finding, ...]
    repeats: Repeats
    conflicts: tuple[tuple[int, int], ...]
    """Rows that contradict an earlier row, and that row."""
    sha256: str


def describe_files(files: Sequence[Path], evaluation: Path | None) -> tuple[SourceFile, ...]:
    """Names and content hashes, the evaluation file last. Raises `OSError`."""
    described = [SourceFile(path.name, _sha256(path), False) for path in files]
    if evaluation:
        described.append(SourceFile(evaluation.name, _sha256(evaluation), True))
    return tuple(described)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dataset_key(
    files: Sequence[SourceFile],
    tokenizer: ChatTokenizer,
    columns: Mapping[str, str] = NO_COLUMNS,
) -> str:
    """The name of the folder that holds what these files give with this tokenizer."""
    packages = [version(package) for package in RENDERERS]
    facts = [FORMAT_VERSION, packages, fingerprint(tokenizer)]
    facts += [[astuple(file) for file in files], sorted(columns.items())]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def write_dataset(
    folder: Path,
    paths: Sequence[Path],
    files: Sequence[SourceFile],
    prepare: BatchMap,
    on_rows: Callable[[int], None] | None = None,
) -> None:
    """Read, check and tokenize the files, each row once, and write both files of a data set.

    ``prepare`` prepares batches, in their order. ``on_rows`` is told how many rows are done.
    """
    errors: list[list[object]] = []
    formats: Counter[str] = Counter()
    notes = Findings()
    repeats = RepeatFinder()
    answers: list[HashArray] = []
    digest = hashlib.sha256()
    rows = judged = 0
    with pq.ParquetWriter(folder / ROWS_FILE, SCHEMA, compression="zstd") as parquet:
        for batch, prepared in prepare(_batches(paths, files)):
            if len(prepared.table):
                parquet.write_table(prepared.table)
            digest.update(prepared.hashed)
            notes.extend(prepared.notes)
            errors += [[batch.file, astuple(error)] for error in prepared.errors]
            if not batch.is_evaluation:
                formats.update(prepared.formats)
                repeats.add(prepared.texts)
                answers.append(prepared.answers + np.array([judged, 0, 0], np.uint64))
                judged += len(prepared.table)
            rows += len(prepared.table)
            if on_rows:
                on_rows(rows)
    body = {
        "files": [astuple(file) for file in files],
        "formats": dict(formats),
        "errors": errors,
        "notes": [astuple(note) for note in notes.all()],
        "repeats": astuple(repeats.find()),
        "conflicts": find_conflicts(np.concatenate(answers)) if answers else [],
        "sha256": digest.hexdigest(),
    }
    (folder / DATA_FILE).write_text(json.dumps(body), encoding="utf-8")


def _batches(paths: Sequence[Path], files: Sequence[SourceFile]) -> Iterator[RecordBatch]:
    first = 0
    for number, (path, file) in enumerate(zip(paths, files, strict=True)):
        rest = records(path)
        while batch := list(islice(rest, ROWS_A_GROUP)):
            yield RecordBatch(batch, first, number, path, file.is_evaluation)
            first += len(batch)


def read_manifest(folder: Path) -> Manifest:
    """Read ``dataset.json``. Raises `OSError`, `ValueError`, `KeyError` or `TypeError` if it is not
    whole."""
    body = json.loads((folder / DATA_FILE).read_text(encoding="utf-8"))
    exact, near = (tuple((row, first) for row, first in pairs) for pairs in body["repeats"])
    return Manifest(
        files=tuple(SourceFile(*file) for file in body["files"]),
        formats=body["formats"],
        errors=tuple((number, RowError(*error)) for number, error in body["errors"]),
        notes=tuple(_finding(*note) for note in body["notes"]),
        repeats=Repeats(exact, near),
        conflicts=tuple((row, first) for row, first in body["conflicts"]),
        sha256=body["sha256"],
    )


def _finding(
    file: str, field: str, problem: str, code: FindingCode, count: int, lines: Sequence[int]
) -> Finding:
    return Finding(file, field, problem, code, count, tuple(lines))


def read_summaries(parquet: pq.ParquetFile) -> list[RowSummary]:
    """Every row without its text and tokens."""
    summaries: list[RowSummary] = []
    for group in range(parquet.num_row_groups):
        table = parquet.read_row_group(group, columns=SUMMARY_COLUMNS)
        columns = (table[name].to_pylist() for name in SUMMARY_COLUMNS)
        summaries += [RowSummary(*values) for values in zip(*columns, strict=True)]
    return summaries


def read_examples(parquet: pq.ParquetFile) -> Iterator[list[AnyExample]]:
    """Yield each row's examples, group by group."""
    for group in range(parquet.num_row_groups):
        yield from _examples_of(parquet.read_row_group(group, columns=EXAMPLE_COLUMNS))


def read_places(
    parquet: pq.ParquetFile, places: Collection[int]
) -> Iterator[tuple[int, str, list[AnyExample]]]:
    """Yield line, JSON and examples of some rows, in their order; reads no group without them."""
    wanted, first = sorted(set(places)), 0
    for group in range(parquet.num_row_groups):
        end = first + parquet.metadata.row_group(group).num_rows
        here = [at - first for at in wanted if first <= at < end]
        if here:
            columns = ["line", "row", *EXAMPLE_COLUMNS]
            table = parquet.read_row_group(group, columns=columns).take(here)
            lines, rows = table["line"].to_pylist(), table["row"].to_pylist()
            yield from zip(lines, rows, _examples_of(table), strict=True)
        first = end


def _examples_of(table: pa.Table) -> Iterator[list[AnyExample]]:
    columns = (table[name].to_pylist() for name in EXAMPLE_COLUMNS)
    for kind, label, token_ids, trained in zip(*columns, strict=True):
        if kind == "unpaired":
            answered = [*map(tuple, token_ids)]
            yield [UnpairedExample(answered[0], answered[1], label)] if answered else []
        else:
            yield _to_examples(kind, token_ids, trained)


def _to_examples(
    kind: RowKind, token_ids: Sequence[Sequence[int]], trained: Sequence[Sequence[bool]]
) -> list[AnyExample]:
    if kind == "preference":
        return [PreferencePair(*map(tuple, token_ids))] if token_ids else []
    return [
        TrainingExample(
            tuple(ids),
            tuple(
                token if is_trained else MASKED
                for token, is_trained in zip(ids, flags, strict=True)
            ),
        )
        for ids, flags in zip(token_ids, trained, strict=True)
    ]
