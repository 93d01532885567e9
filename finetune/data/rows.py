"""Rows of training data: what a file holds once it is read, and what is wrong with the rest.

Every record of a file comes out as a row or as a `RowError`; none is dropped. How files are split into
records is `finetune.data.sources`, how a record is recognised is `finetune.data.formats`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.data.formats import Conversation, FormatError, Preference, Row, Text, row_of
from finetune.data.sources import UnreadableRecord, records

__all__ = ["Conversation", "Preference", "ReadRows", "Row", "RowError", "Text", "read_rows"]


@dataclass(frozen=True, slots=True)
class RowError:
    """A record that cannot be trained on, and what to do about it. ``line`` counts from 1."""

    file: str
    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.problem}"


@dataclass(frozen=True, slots=True)
class ReadRows:
    """A file's rows and errors; together as many as it has records that are not empty."""

    rows: tuple[Row, ...]
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
    rows: list[Row] = []
    errors: list[RowError] = []
    formats: dict[str, int] = {}
    for line, record in records(path):
        if isinstance(record, UnreadableRecord):
            errors.append(RowError(path.name, line, record.field, record.problem))
            continue
        try:
            kind, row = row_of(record, line)
        except FormatError as wrong:
            errors.append(RowError(path.name, line, wrong.field, wrong.problem))
            continue
        formats[kind] = formats.get(kind, 0) + 1
        rows.append(row)
    return ReadRows(tuple(rows), tuple(errors), formats)
