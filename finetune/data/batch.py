"""A batch of records, read, tokenized and hashed: the part of preparing that processes share.

Everything that a batch gives follows from the batch alone, so that a data set is the same however
many processes made it. Knows rows and tokens; knows no file and no recipe.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finetune.data.conflicts import HashArray, answer_hashes
from finetune.data.duplicates import TextHasher, TextHashes
from finetune.data.examples import MASKED, AnyExample, PreferencePair, UnpairedExample
from finetune.data.findings import Findings, RowError
from finetune.data.language import language_of
from finetune.data.rows import recognise
from finetune.data.sources import Record, SourceNote
from finetune.data.split import prompt_text, spoken_text, whole_text
from finetune.data.tokenize import TokenizedRow, length_of, tokenize_row
from finetune.data.training_row import Conversation, Preference, TrainingRow, UnpairedPreference
from playground.models.tokenizer import ChatTokenizer

LANGUAGE_ROWS, LANGUAGE_STEP = 2000, 100
"""The language of so many records is guessed, and then of each hundredth: a guess takes as long as
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


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one file with their lines; ``first`` is how many come before them in all files."""

    records: Sequence[tuple[int, Record | SourceNote]]
    first: int
    file: int
    path: Path
    is_evaluation: bool


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch's rows as columns, and what of them the whole data set's findings need.

    ``hashed`` are the bytes that the data set's hash takes in. Those of an evaluation file have no
    ``texts`` and no ``answers``.
    """

    table: pa.Table
    hashed: bytes
    formats: Counter[str]
    errors: tuple[RowError, ...]
    notes: Findings
    texts: TextHashes
    answers: HashArray


class BatchWorker:
    """Prepares batches with one tokenizer and one mapping of columns.

    ``before_row`` is called before each record, and may raise.
    """

    def __init__(
        self,
        tokenizer: ChatTokenizer,
        columns: Mapping[str, str],
        before_row: Callable[[], None] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._columns = columns
        self._before_row = before_row
        self._hasher = TextHasher()

    def prepare(self, batch: RecordBatch) -> PreparedBatch:
        """Recognise, tokenize and hash the batch's records."""
        rows: list[TrainingRow] = []
        columns: list[dict[str, object]] = []
        formats: Counter[str] = Counter()
        errors: list[RowError] = []
        notes = Findings()
        hashed: list[bytes] = []
        name = batch.path.name
        for number, (line, record) in enumerate(batch.records, start=batch.first):
            if self._before_row:
                self._before_row()
            if isinstance(record, SourceNote):
                notes.add(name, line, record.field, record.remark)
                continue
            found = recognise(batch.path, line, record, self._columns)
            if isinstance(found, RowError):
                errors.append(found)
                continue
            formats[found.format] += 1
            for field, remark in found.notes:
                notes.add(name, line, field, remark)
            rows.append(found.row)
            tokenized = tokenize_row(found.row, self._tokenizer, name)
            columns.append(_columns(tokenized, batch, number, hashed))
        judged = [] if batch.is_evaluation else rows
        return PreparedBatch(
            _to_table(columns),
            b"".join(hashed),
            formats,
            tuple(errors),
            notes,
            self._hasher.hash([whole_text(row) for row in judged]),
            answer_hashes(judged),
        )


def _columns(
    tokenized: TokenizedRow, batch: RecordBatch, number: int, hashed: list[bytes]
) -> dict[str, object]:
    """One row of the Parquet file; its tokens go into the data set's hash."""
    row, error = tokenized.row, tokenized.error
    token_ids, trained = _token_columns(tokenized.examples)
    is_guessed = number < LANGUAGE_ROWS or number % LANGUAGE_STEP == 0
    label = row.label if isinstance(row, UnpairedPreference) else None
    facts = f"{batch.is_evaluation} {[*map(len, token_ids)]}"
    hashed.append((facts + (f" {label}\n" if label is not None else "\n")).encode())
    hashed += [values.tobytes() for values in (*token_ids, *trained)]
    return {
        "file": batch.file,
        "line": row.line,
        "kind": _kind(row),
        "label": label,
        "row": json.dumps(row.as_json()),
        "prompt": prompt_text(row),
        "turns": _turns(row),
        "language": language_of(spoken_text(row)) if is_guessed and not batch.is_evaluation else "",
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
            trained.append(_integers(example.labels) != MASKED)
    return [_integers(ids) for ids in token_ids], trained


def _integers(values: Sequence[int]) -> IntArray:
    """An array, which Python's own makes in half of numpy's time."""
    return np.frombuffer(array("i", values), np.int32)


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
