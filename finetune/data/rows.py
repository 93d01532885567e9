"""Reads files of training rows: what a file holds, and what is wrong with the rest.

Every record of a file comes out as a row or as a `RowError`; none is dropped. How files are split
into records is `finetune.data.sources`, how a record is recognised is `finetune.data.formats`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.data.formats import FormatError, to_row
from finetune.data.sources import Record, UnreadableRecord, records
from finetune.data.training_row import Conversation, PlainText, Preference, TrainingRow

__all__ = [
    "Conversation",
    "PlainText",
    "Preference",
    "ReadRows",
    "RowError",
    "TrainingRow",
    "read_row",
    "read_rows",
]

RowErrorCode = Literal["unreadable", "format", "template", "too_long"]
"""``unreadable``: no record there. ``format``: no row of a known format. ``template``: the chat
template refuses it. ``too_long``: more tokens than the recipe's ``max_length``."""


@dataclass(frozen=True, slots=True)
class RowError:
    """A record that cannot be trained on, and what to do about it. ``line`` counts from 1."""

    file: str
    line: int
    field: str
    problem: str
    code: RowErrorCode = "format"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.problem}"


@dataclass(frozen=True, slots=True)
class ReadRows:
    """A file's rows and errors; together as many as it has records that are not empty."""

    rows: tuple[TrainingRow, ...]
    errors: tuple[RowError, ...]
    formats: Mapping[str, int]

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """The rows that are conversations."""
        return tuple(row for row in self.rows if isinstance(row, Conversation))

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """The rows that are preferences."""
        return tuple(row for row in self.rows if isinstance(row, Preference))


def read_rows(path: Path) -> ReadRows:
    """Read JSON lines, JSON, CSV, TSV, Parquet or plain text, by the name's ending and content.

    Raises `OSError` if the file cannot be opened at all.
    """
    rows: list[TrainingRow] = []
    errors: list[RowError] = []
    formats: dict[str, int] = {}
    for line, record in records(path):
        row = _recognise(path, line, record)
        if isinstance(row, RowError):
            errors.append(row)
            continue
        format_name, training_row = row
        formats[format_name] = formats.get(format_name, 0) + 1
        rows.append(training_row)
    return ReadRows(tuple(rows), tuple(errors), formats)


def read_row(path: Path, line: int) -> TrainingRow | RowError | None:
    """Read the record of one line; None if no record begins there. Raises `OSError`."""
    for number, record in records(path):
        if number == line:
            row = _recognise(path, line, record)
            return row if isinstance(row, RowError) else row[1]
    return None


def _recognise(path: Path, line: int, record: Record) -> tuple[str, TrainingRow] | RowError:
    if isinstance(record, UnreadableRecord):
        return RowError(path.name, line, record.field, record.problem, "unreadable")
    try:
        return to_row(record, line)
    except FormatError as error:
        return RowError(path.name, line, error.field, error.problem, "format")
