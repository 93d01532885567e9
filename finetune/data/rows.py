"""Reads files of training rows: what a file holds, and what is wrong with the rest.

Every record of a file comes out as a row or as a `RowError`; none is dropped, and what of a row is
not used is noted. How files are split into records is `finetune.data.sources`, how a record is
recognised is `finetune.data.formats`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
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
    "RowReader",
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
    reader = RowReader(path, columns)
    rows = tuple(reader)
    return ReadRows(rows, tuple(reader.errors), reader.formats, reader.notes.all())


class RowReader:
    """Iterates over a file's rows, once; the rest of what it holds is counted on the way.

    Raises `OSError` if the file cannot be opened.
    """

    def __init__(self, path: Path, columns: Mapping[str, str] = NO_COLUMNS) -> None:
        self.errors: list[RowError] = []
        self.formats: Counter[str] = Counter()
        self.notes = Findings()
        self._path = path
        self._columns = columns

    def __iter__(self) -> Iterator[TrainingRow]:
        name = self._path.name
        for line, record in records(self._path):
            if isinstance(record, SourceNote):
                self.notes.add(name, line, record.field, record.remark)
                continue
            row = recognise(self._path, line, record, self._columns)
            if isinstance(row, RowError):
                self.errors.append(row)
                continue
            self.formats[row.format] += 1
            for field, remark in row.notes:
                self.notes.add(name, line, field, remark)
            yield row.row


def read_row(
    path: Path, line: int | None, columns: Mapping[str, str] = NO_COLUMNS
) -> TrainingRow | RowError | None:
    """Read the record of one line, or the first one; None if no record begins there.

    Raises `OSError`.
    """
    for number, record in records(path):
        if not isinstance(record, SourceNote) and line in (None, number):
            row = recognise(path, number, record, columns)
            return row if isinstance(row, RowError) else row.row
    return None


def column_names(path: Path) -> tuple[list[str], bool]:
    """Return the names of the first record's fields, and whether they are a known format's.

    Raises `OSError`.
    """
    for number, record in records(path):
        if isinstance(record, Mapping):
            row = recognise(path, number, record, NO_COLUMNS)
            is_known = not isinstance(row, RowError) or row.field != "line"
            return [name for name in record if name], is_known
    return [], True


def recognise(
    path: Path, line: int, record: Record, columns: Mapping[str, str]
) -> RecognisedRow | RowError:
    """Return a record's row, or why it has none."""
    if isinstance(record, UnreadableRecord):
        return RowError(path.name, line, record.field, record.problem, "unreadable")
    try:
        return to_row(record, line, columns)
    except FormatError as error:
        return RowError(path.name, line, error.field, error.problem, "format")
