"""Tables of records: CSV as spreadsheets write it, TSV, Parquet.

Knows cells; what a record means is `finetune.data.formats`.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from finetune.data.encodings import MAX_RECORD_BYTES, Numbered, Record, SourceNote, UnreadableRecord
from finetune.data.fields import without_nulls

PARQUET_BATCH = 1024
DELIMITERS = ",;\t|"
SEPARATOR_LINE = "sep="
"""The first line by which Excel names the delimiter."""


def read_table(text: str) -> Numbered:
    """Yield the rows of a table with a header; its delimiter is the one that parts the header."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    delimiter, skipped = _delimiter(text)
    stream = io.StringIO(text, newline="")
    for _ in range(skipped):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, UnreadableRecord("line", f"is not CSV: {error}; nothing after it was read")
            return
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if repeated := {name for name in header if name and header.count(name) > 1}:
                yield line, SourceNote(", ".join(sorted(repeated)), "is the title of two columns")
            continue
        yield line, _record(header, cells, delimiter)


def _record(header: list[str], cells: list[str], delimiter: str) -> Record:
    """Empty cells are absent."""
    while len(cells) > len(header) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) < len(header):
        return UnreadableRecord("line", "has fewer cells than the header")
    if len(cells) > len(header):
        name = {"\t": "tabs", ",": "commas"}.get(delimiter, repr(delimiter))
        return UnreadableRecord("line", f"has more cells than the header; quote cells with {name}")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}


def _delimiter(text: str) -> tuple[str, int]:
    """Return the delimiter, and how many lines stand before the header."""
    header = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    if header.lower().startswith(SEPARATOR_LINE) and len(header) == len(SEPARATOR_LINE) + 1:
        return header[-1], 1

    def num_cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=delimiter)))
        except (csv.Error, StopIteration):
            return 0

    return max(DELIMITERS, key=num_cells), 0


def read_parquet(path: Path) -> Numbered:
    """Yield the rows of a Parquet file, without the nulls that Arrow fills in."""
    import pyarrow.parquet
    from pyarrow.lib import ArrowException

    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(PARQUET_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, _without_nulls(row)
    except ArrowException as error:
        reason = str(error).splitlines()[0]
        yield number + 1, UnreadableRecord("file", f"is not Parquet: {reason}")
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        yield number + 1, UnreadableRecord("file", f"is not Parquet: {error}")


def _without_nulls(row: Mapping[str, object]) -> Mapping[str, object]:
    record = without_nulls(row)
    return record if isinstance(record, Mapping) else {}
