"""Files of records: JSON lines, JSON, CSV, TSV, Parquet, plain text. Each record has its line.

Knows bytes and containers; what a record means is `finetune.data.formats`.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_RECORD_BYTES = 20_000_000
"""Bytes; a longer line is an error, not a row."""
PARQUET_BATCH = 1024
BOM = b"\xef\xbb\xbf"
NESTED_COLUMNS = frozenset(
    {
        *("messages", "conversations", "tools", "prompt", "completion", "chosen", "rejected"),
        *("input", "preferred_output", "non_preferred_output", "history"),
    }
)
"""Columns of a table whose cells may hold JSON."""


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A place in a file where a record should be, and why there is none."""

    field: str
    problem: str


Record = Mapping[str, object] | UnreadableRecord
Numbered = Iterator[tuple[int, Record]]
"""Records with their line, or in Parquet their row number."""


def records(path: Path) -> Numbered:
    """Yield records in the file's order. Raises `OSError`."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        reader = _json if _first_byte(path) == b"[" else _json_lines
    yield from reader(path)


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64).removeprefix(BOM).lstrip()[:1]


def parse(text: bytes) -> Record:
    """One JSON object of UTF-8 bytes."""
    if len(text) > MAX_RECORD_BYTES:
        return UnreadableRecord("line", f"has {len(text):,} bytes; {MAX_RECORD_BYTES:,} at most")
    decoded = _decode(text)
    if isinstance(decoded, UnreadableRecord):
        return decoded
    try:
        return _an_object(json.loads(decoded, parse_constant=_no_constant))
    except RecursionError:
        return UnreadableRecord("line", "is nested too deeply")
    except ValueError as error:
        return UnreadableRecord("line", f"is not JSON: {error}; one object a line")


def _decode(text: bytes) -> str | UnreadableRecord:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        return UnreadableRecord(
            "line", f"is not UTF-8 at byte {error.start}; save the file as UTF-8"
        )


def _an_object(value: object) -> Record:
    if not isinstance(value, dict):
        return UnreadableRecord("line", "is not a JSON object")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


def _json_lines(path: Path) -> Numbered:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(BOM) if number == 1 else line
            if content.strip():
                yield number, parse(content)


def _json(path: Path) -> Numbered:
    """A list of objects, or one object. After a broken element the rest is one error."""
    text = _decode(path.read_bytes().removeprefix(BOM))
    if isinstance(text, UnreadableRecord):
        yield 1, text
        return
    at = _skip(text, 0, "")
    if text[at : at + 1] == "{" and _several_objects(text, at):
        yield from _json_lines(path)  # JSON lines under another name
        return
    a_list = text[at : at + 1] == "["
    at = _skip(text, at + a_list, "")
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    line, counted = 1, 0
    while at < len(text) and not (a_list and text[at] == "]"):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
        except RecursionError:
            yield line, UnreadableRecord("line", "is nested too deeply; nothing after it was read")
            return
        except ValueError as error:
            problem = f"is not JSON: {error}; nothing after it was read"
            yield line, UnreadableRecord("line", problem)
            return
        too_long = end - at > MAX_RECORD_BYTES
        long = UnreadableRecord(
            "line", f"has {end - at:,} characters; {MAX_RECORD_BYTES:,} at most"
        )
        yield line, long if too_long else _an_object(value)
        after = _skip(text, end, "")
        if a_list and text[after : after + 1] not in (",", "]"):
            problem = "must be followed by a comma or the list's end; nothing after it was read"
            yield line + text.count("\n", counted, after), UnreadableRecord("line", problem)
            return
        at = _skip(text, end, "," if a_list else "")


def _several_objects(text: str, at: int) -> bool:
    try:
        _, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return "\n{" in text
    return _skip(text, end, "") < len(text)


def _skip(text: str, at: int, also: str) -> int:
    while at < len(text) and (text[at].isspace() or text[at] in also):
        at += 1
    return at


def _table(path: Path, delimiter: str) -> Numbered:
    text = _decode(path.read_bytes().removeprefix(BOM))
    if isinstance(text, UnreadableRecord):
        yield 1, text
        return
    csv.field_size_limit(MAX_RECORD_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    while True:
        line = reader.line_num + 1
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
            continue
        if len(cells) != len(header):
            problem = f"has {len(cells)} cells, the header {len(header)}; quote cells with commas"
            yield line, UnreadableRecord("line", problem)
            continue
        yield line, _row_of_table(dict(zip(header, cells, strict=True)))


def _row_of_table(cells: Mapping[str, object]) -> Record:
    """Empty cells are absent; cells that hold a JSON list or object are read as that."""
    row = {}
    for name, value in cells.items():
        if value is None or value == "":
            continue
        if name in NESTED_COLUMNS and isinstance(value, str) and value.lstrip()[:1] in "[{":
            try:
                row[name] = json.loads(value, parse_constant=_no_constant)
                continue
            except (ValueError, RecursionError):
                if name in ("messages", "conversations", "tools"):
                    return UnreadableRecord(name, "is a cell of broken JSON")
        row[name] = value
    return row


def _parquet(path: Path) -> Numbered:
    import pyarrow.parquet
    from pyarrow.lib import ArrowException

    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(PARQUET_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, _row_of_table(row)
    except ArrowException as error:
        reason = str(error).splitlines()[0]
        yield number + 1, UnreadableRecord("file", f"is not Parquet: {reason}")
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        yield number + 1, UnreadableRecord("file", f"is not Parquet: {error}")


def _text(path: Path) -> Numbered:
    text = _decode(path.read_bytes().removeprefix(BOM))
    if isinstance(text, UnreadableRecord):
        yield 1, text
    elif text.strip():
        yield 1, {"text": text}


_READERS: Mapping[str, Callable[[Path], Numbered]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": lambda path: _table(path, ","),
    ".tsv": lambda path: _table(path, "\t"),
    ".parquet": _parquet,
    ".txt": _text,
    ".md": _text,
}
