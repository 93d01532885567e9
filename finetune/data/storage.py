"""A data set's two files: how rows are written to Parquet and read back, a few columns at a time.

Knows rows, tokens and files; knows no recipe.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import astuple, dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from finetune.data.duplicates import RepeatFinder, Repeats
from finetune.data.examples import (
    MASKED,
    AnyExample,
    PreferencePair,
    TrainingExample,
    UnpairedExample,
)
from finetune.data.findings import Finding, FindingCode, RowError
from finetune.data.formats import NO_COLUMNS
from finetune.data.language import language_of
from finetune.data.rows import RowReader
from finetune.data.split import prompt_text, spoken_text, whole_text
from finetune.data.tokenize import TokenizedRow, fingerprint, length_of, tokenize_row
from finetune.data.training_row import Conversation, Preference, TrainingRow, UnpairedPreference
from playground.models.tokenizer import ChatTokenizer

FORMAT_VERSION = 3
"""Raise it whenever the same file would give other rows, tokens or columns than before."""
RENDERERS = ("mistral-common", "transformers")
"""Packages whose version decides how a conversation becomes tokens."""
ROWS_FILE, DATA_FILE = "rows.parquet", "dataset.json"
ROWS_A_GROUP = 1024
LANGUAGE_ROWS, LANGUAGE_STEP = 5000, 20
"""The language of so many rows is guessed, and then of each twentieth: a guess takes as long as
tokenizing."""
IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
RowKind = Literal["conversation", "preference", "unpaired", "text"]
SCHEMA = pa.schema(
    [
        ("file", pa.int32()),
        ("line", pa.int64()),
        ("kind", pa.string()),
        ("label", pa.bool_()),
        ("row", pa.string()),
        ("prompt", pa.string()),
        ("turns", pa.int32()),
        ("language", pa.string()),
        ("lengths", pa.list_(pa.int32())),
        ("num_trained", pa.list_(pa.int32())),
        ("token_ids", pa.list_(pa.list_(pa.int32()))),
        ("trained", pa.list_(pa.list_(pa.bool_()))),
        ("error_field", pa.string()),
        ("error_problem", pa.string()),
    ]
)
"""A preference's ``token_ids`` are its prompt and its answers, and it has no ``trained``; only an
unpaired one has a ``label``."""
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
    tokenizer: ChatTokenizer,
    columns: Mapping[str, str] = NO_COLUMNS,
    on_rows: Callable[[int], None] | None = None,
) -> None:
    """Read, check and tokenize the files, each row once, and write both files of a data set.

    ``on_rows`` is told how many rows are done.
    """
    written = _Writer()
    done = 0
    with pq.ParquetWriter(folder / ROWS_FILE, SCHEMA, compression="zstd") as parquet:
        for number, (path, file) in enumerate(zip(paths, files, strict=True)):
            reader = RowReader(path, columns)
            rows = iter(reader)
            while batch := list(islice(rows, ROWS_A_GROUP)):
                table = [
                    written.columns(tokenize_row(row, tokenizer, file.name), number, file)
                    for row in batch
                ]
                parquet.write_table(_to_table(table))
                done += len(batch)
                if on_rows:
                    on_rows(done)
            written.notes += reader.notes.all()
            written.errors += [(number, error) for error in reader.errors]
            if not file.is_evaluation:
                written.formats.update(reader.formats)
    body = {
        "files": [astuple(file) for file in files],
        "formats": dict(written.formats),
        "errors": [[number, astuple(error)] for number, error in written.errors],
        "notes": [astuple(note) for note in written.notes],
        "repeats": astuple(written.repeats.find()),
        "sha256": written.digest.hexdigest(),
    }
    (folder / DATA_FILE).write_text(json.dumps(body), encoding="utf-8")


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
        sha256=body["sha256"],
    )


def _finding(
    file: str, field: str, problem: str, code: FindingCode, count: int, lines: Sequence[int]
) -> Finding:
    return Finding(file, field, problem, code, count, tuple(lines))


@dataclass(slots=True)
class _Writer:
    """Collects what ``dataset.json`` says while rows are written."""

    errors: list[tuple[int, RowError]] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    repeats: RepeatFinder = field(default_factory=RepeatFinder)
    num_rows: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def columns(self, tokenized: TokenizedRow, number: int, file: SourceFile) -> dict[str, object]:
        """One row of the Parquet file; its tokens go into the data set's hash."""
        row, error = tokenized.row, tokenized.error
        token_ids, trained = _token_columns(tokenized.examples)
        language = ""
        if not file.is_evaluation:
            self.repeats.add(whole_text(row))
            if self.num_rows < LANGUAGE_ROWS or self.num_rows % LANGUAGE_STEP == 0:
                language = language_of(spoken_text(row))
            self.num_rows += 1
        label = row.label if isinstance(row, UnpairedPreference) else None
        facts = f"{file.is_evaluation} {[*map(len, token_ids)]}"
        self.digest.update((facts + (f" {label}\n" if label is not None else "\n")).encode())
        for values in (*token_ids, *trained):
            self.digest.update(values.tobytes())
        return {
            "file": number,
            "line": row.line,
            "kind": _kind(row),
            "label": label,
            "row": json.dumps(row.as_json()),
            "prompt": prompt_text(row),
            "turns": _turns(row),
            "language": language,
            "lengths": [length_of(example) for example in tokenized.examples],
            "num_trained": [example.num_trained_tokens for example in tokenized.examples],
            "token_ids": token_ids,
            "trained": trained,
            "error_field": error.field if error else None,
            "error_problem": error.problem.encode("utf-8", "replace").decode() if error else None,
        }


def _token_columns(examples: Sequence[AnyExample]) -> tuple[list[IntArray], list[BoolArray]]:
    token_ids: list[Sequence[int]] = []
    trained: list[BoolArray] = []
    for example in examples:
        if isinstance(example, PreferencePair):
            token_ids += [example.prompt, example.chosen, example.rejected]
        elif isinstance(example, UnpairedExample):
            token_ids += [example.prompt, example.completion]
        else:
            token_ids.append(example.token_ids)
            trained.append(np.asarray(example.labels, np.int32) != MASKED)
    return [np.asarray(ids, np.int32) for ids in token_ids], trained


def _to_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Tokens go through numpy: pyarrow's own conversion of nested lists takes ten times as long."""
    arrays = []
    for column in SCHEMA:
        values = [row[column.name] for row in rows]
        if column.name in ("token_ids", "trained"):
            arrays.append(_nested(cast("list[list[IntArray]]", values), column))
        else:
            arrays.append(pa.array(values, column.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _nested(rows: Sequence[Sequence[IntArray]], column: pa.Field) -> pa.ListArray:
    lists = [values for row in rows for values in row]
    flat = np.concatenate(lists) if lists else np.empty(0, np.int32)
    inner = pa.ListArray.from_arrays(
        _offsets(lists), pa.array(flat, column.type.value_type.value_type)
    )
    return pa.ListArray.from_arrays(_offsets(rows), inner)


def _offsets(parts: Sequence[Sized]) -> pa.Int32Array:
    """Where each part begins and the last one ends."""
    return pa.array(np.cumsum([0, *map(len, parts)]), pa.int32())


def _kind(row: TrainingRow) -> RowKind:
    if isinstance(row, Conversation):
        return "conversation"
    if isinstance(row, UnpairedPreference):
        return "unpaired"
    return "preference" if isinstance(row, Preference) else "text"


def _turns(row: TrainingRow) -> int:
    if isinstance(row, Conversation):
        return sum(message.role == "assistant" for message in row.messages)
    return 1 if isinstance(row, Preference | UnpairedPreference) else 0


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
        table = parquet.read_row_group(group, columns=EXAMPLE_COLUMNS)
        columns = (table[name].to_pylist() for name in EXAMPLE_COLUMNS)
        for kind, label, token_ids, trained in zip(*columns, strict=True):
            if kind == "unpaired":
                answered = [*map(tuple, token_ids)]
                yield [UnpairedExample(answered[0], answered[1], label)] if answered else []
            else:
                yield _to_examples(kind, token_ids, trained)


def read_json_rows(parquet: pq.ParquetFile) -> list[str]:
    """Every row's JSON."""
    rows: list[str] = parquet.read(columns=["row"])["row"].to_pylist()
    return rows


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
