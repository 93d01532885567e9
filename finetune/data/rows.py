"""Reads files of training rows: what a file holds, and what is wrong with the rest.

Every record of a file comes out as a row or as a `RowError`; none is dropped, and what of a row is
not used is noted. How files are split into records is `finetune.data.sources`, how a record is
recognised is `finetune.data.formats`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.data.findings import Finding, Findings, RowError, RowErrorCode
from finetune.data.formats import NO_COLUMNS, FormatError, RecognisedRow, to_row
from finetune.data.sources import Record, SourceNote, UnreadableRecord, records
from finetune.data.training_row import Conversation, PlainText, Preference, TrainingRow

__all__ = [
    "Conversation",
    "PlainText",
    "Preference",
    "ReadRows",
    "RowError",
    "RowErrorCode",
    "TrainingRow",
    "read_row",
    "read_rows",
]


@dataclass(frozen=True, slots=True)
class ReadRows:
    """A file's rows and errors; together as many as it has records that are not empty.

    ``notes`` say what of the rows is not used or looks wrong.
    """

    rows: tuple[TrainingRow, ...]
    errors: tuple[RowError, ...]
    formats: Mapping[str, int]
    notes: tuple[Finding, ...] = ()

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """The rows that are conversations."""
        return tuple(row for row in self.rows if isinstance(row, Conversation))

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """The rows that are preferences."""
        return tuple(row for row in self.rows if isinstance(row, Preference))


def read_rows(path: Path, columns: Mapping[str, str] = NO_COLUMNS) -> ReadRows:
    """Read JSON lines, JSON, CSV, TSV, Parquet or plain text, by the name's ending and content.

    ``columns`` maps other names of columns to the fields of a format. Raises `OSError` if the file
    cannot be opened at all.
    """
    rows: list[TrainingRow] = []
    errors: list[RowError] = []
    formats: dict[str, int] = {}
    notes = Findings()
    for line, record in records(path):
        if isinstance(record, SourceNote):
            notes.add(path.name, line, record.field, record.remark)
            continue
        row = _recognise(path, line, record, columns)
        if isinstance(row, RowError):
            errors.append(row)
            continue
        formats[row.format] = formats.get(row.format, 0) + 1
        rows.append(row.row)
        for field, remark in row.notes:
            notes.add(path.name, line, field, remark)
    return ReadRows(tuple(rows), tuple(errors), formats, notes.all())


def read_row(
    path: Path, line: int | None, columns: Mapping[str, str] = NO_COLUMNS
) -> TrainingRow | RowError | None:
    """Read the record of one line, or the first one; None if no record begins there.

    Raises `OSError`.
    """
    for number, record in records(path):
        if not isinstance(record, SourceNote) and line in (None, number):
            row = _recognise(path, number, record, columns)
            return row if isinstance(row, RowError) else row.row
    return None


def column_names(path: Path) -> tuple[list[str], bool]:
    """Return the names of the first record's fields, and whether they are a known format's.

    Raises `OSError`.
    """
    for number, record in records(path):
        if isinstance(record, Mapping):
            row = _recognise(path, number, record, NO_COLUMNS)
            is_known = not isinstance(row, RowError) or row.field != "line"
            return [name for name in record if name], is_known
    return [], True


def _recognise(
    path: Path, line: int, record: Record, columns: Mapping[str, str]
) -> RecognisedRow | RowError:
    if isinstance(record, UnreadableRecord):
        return RowError(path.name, line, record.field, record.problem, "unreadable")
    try:
        return to_row(record, line, columns)
    except FormatError as error:
        return RowError(path.name, line, error.field, error.problem, "format")
