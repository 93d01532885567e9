"""Files of records: JSON lines, JSON, CSV, TSV, Parquet, plain text. Each record has its line.

Knows bytes and containers; what a record means is `finetune.data.formats`.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from finetune.data.encodings import (
    BOM,
    MAX_RECORD_BYTES,
    Numbered,
    Record,
    SourceNote,
    UnreadableRecord,
    as_stream,
    container_problem,
    decode,
    decode_table,
    is_utf16,
    open_bytes,
    read_bytes,
    suffix_of,
)
from finetune.data.fields import holds_messages
from finetune.data.tables import read_parquet, read_table

__all__ = ["BOM", "Record", "SourceNote", "UnreadableRecord", "parse", "records"]

WRAPPERS = ("data", "rows", "examples", "train", "items", "records", "instances")
"""Names under which a JSON file may hold its list of rows."""
START_BYTES = 64


def records(path: Path) -> Numbered:
    """Yield records and notes in the file's order. Raises `OSError`."""
    if problem := container_problem(path):
        yield 1, problem
        return
    suffix = suffix_of(path)
    if suffix == ".parquet":
        yield from read_parquet(path)
    elif suffix in (".csv", ".tsv"):
        yield from _table(path)
    elif suffix in (".txt", ".md"):
        yield from _text(path)
    else:
        try:
            yield from _json_file(path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield 1, UnreadableRecord("file", f"is gzip that cannot be unpacked: {error}")


def _table(path: Path) -> Numbered:
    content = read_bytes(path)
    if isinstance(content, UnreadableRecord):
        yield 1, content
        return
    text, note = decode_table(content)
    if note:
        yield 1, note
    if isinstance(text, UnreadableRecord):
        yield 1, text
    else:
        yield from read_table(text)


def _text(path: Path) -> Numbered:
    content = read_bytes(path)
    text = content if isinstance(content, UnreadableRecord) else decode(content)
    if isinstance(text, UnreadableRecord):
        yield 1, text
    elif text.strip():
        yield 1, {"text": text}


def parse(text: bytes) -> Record:
    """One JSON object of UTF-8 bytes."""
    if len(text) > MAX_RECORD_BYTES:
        return UnreadableRecord("line", f"has {len(text):,} bytes; {MAX_RECORD_BYTES:,} at most")
    decoded = decode(text)
    if isinstance(decoded, UnreadableRecord):
        return decoded
    try:
        return _an_object(_DECODER.decode(decoded))
    except RecursionError:
        return UnreadableRecord("line", "is nested too deeply")
    except ValueError as error:
        return UnreadableRecord("line", f"is not JSON: {error}; one object a line")


def _an_object(value: object) -> Record:
    """A list of messages is a conversation."""
    if isinstance(value, list) and holds_messages(value):
        return {"conversations" if "from" in value[0] else "messages": value}
    if not isinstance(value, dict):
        return UnreadableRecord("line", "is not a JSON object")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _json_file(path: Path) -> Numbered:
    """JSON lines, or values that take several lines each: a list, or objects one after another."""
    with open_bytes(path) as file:
        start = file.read(START_BYTES)
    if is_utf16(start):
        content = read_bytes(path)
        text = content if isinstance(content, UnreadableRecord) else decode(content)
        if isinstance(text, UnreadableRecord):
            yield 1, text
            return
        with as_stream(text) as stream:
            is_lines = _is_json_lines(stream)
        if is_lines:
            with as_stream(text) as stream:
                yield from _json_lines(stream)
        else:
            yield from _json_values(text)
        return
    with open_bytes(path) as file:
        is_lines = _is_json_lines(file)
    if is_lines:
        with open_bytes(path) as file:
            yield from _json_lines(file)
        return
    content = read_bytes(path)
    text = content if isinstance(content, UnreadableRecord) else decode(content)
    if isinstance(text, UnreadableRecord):
        yield 1, text
    else:
        yield from _json_values(text)


def _json_lines(file: BinaryIO) -> Numbered:
    for number, line in enumerate(file, start=1):
        content = line.removeprefix(BOM) if number == 1 else line
        if content.strip():
            yield number, parse(content)


def _is_json_lines(file: BinaryIO) -> bool:
    """Whether the first line is a value of its own with others after it, or no JSON at all."""
    lines = (line.removeprefix(BOM).strip() for line in file)
    first = next((line for line in lines if line), b"")
    if len(first) > MAX_RECORD_BYTES:
        return first[:1] != b"["
    try:
        value = json.loads(first)
    except RecursionError:
        return True
    except ValueError:
        return first[:1] != b"[" and not _begins_object(first, next(lines, b""))
    others = any(lines)
    if isinstance(value, list):
        return others
    return others or not isinstance(value, dict) or not _is_wrapped(value)


def _begins_object(first: bytes, second: bytes) -> bool:
    """Whether an object is printed over several lines, and not one broken line among others."""
    if first == b"{":
        return second[:1] in (b'"', b"}")
    return first[:1] == b"{" and first[-1:] in (b"{", b"[", b",") and second[:1] != b"{"


def _json_values(text: str) -> Numbered:
    """Yield a list's elements, or objects that follow each other. After a broken element of a list
    the rest is one error; after a broken object reading goes on at the next line that begins one.
    """
    at = _skip(text, 0, "")
    if text[at : at + 1] == "[":
        yield from _elements(text, at + 1, 1)
        return
    line, counted = 1, 0
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            problem = f"is not JSON: {reason}; nothing was read up to the next object"
            yield line, UnreadableRecord("line", problem)
            following = text.find("\n{", at + 1)
            end = len(text) if following < 0 else following
        else:
            if counted == _skip(text, 0, "") and isinstance(value, dict) and _is_wrapped(value):
                yield from _unwrapped(text, at, value)
            else:
                yield line, _sized(value, end - at)
        at = _skip(text, end, ",")


def _sized(value: object, size: int) -> Record:
    if size > MAX_RECORD_BYTES:
        return UnreadableRecord("line", f"has {size:,} characters; {MAX_RECORD_BYTES:,} at most")
    return _an_object(value)


def _elements(text: str, at: int, line: int) -> Numbered:
    """Yield the elements of a list that begins before ``at``."""
    line, counted = line + text.count("\n", 0, at), at
    at = _skip(text, at, "")
    while at < len(text) and text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except RecursionError:
            yield line, UnreadableRecord("line", "is nested too deeply; nothing after it was read")
            return
        except ValueError as error:
            problem = f"is not JSON: {error}; nothing after it was read"
            yield line, UnreadableRecord("line", problem)
            return
        yield line, _sized(value, end - at)
        after = _skip(text, end, "")
        if text[after : after + 1] not in (",", "]"):
            problem = "must be followed by a comma or the list's end; nothing after it was read"
            yield line + text.count("\n", counted, after), UnreadableRecord("line", problem)
            return
        at = _skip(text, end, ",")


def _skip(text: str, at: int, also: str) -> int:
    while at < len(text) and (text[at].isspace() or text[at] in also):
        at += 1
    return at


def _is_wrapped(value: Mapping[str, object]) -> bool:
    return _wrapper(value) is not None or _columns(value) is not None


def _wrapper(value: Mapping[str, object]) -> str | None:
    """The name of the list of rows that an object holds."""
    for name in WRAPPERS:
        rows = value.get(name)
        if isinstance(rows, list) and rows and all(isinstance(row, (dict, list)) for row in rows):
            return name
    return None


def _columns(value: Mapping[str, object]) -> dict[str, list[object]] | None:
    """The columns of an object that holds a cell of each row under each name, as pandas writes."""
    columns: dict[str, list[object]] = {}
    for name, cells in value.items():
        if isinstance(cells, dict) and cells and all(key.isdigit() for key in cells):
            columns[name] = list(cells.values())
        elif isinstance(cells, list) and cells and all(_is_cell(cell) for cell in cells):
            columns[name] = cells
        else:
            return None
    same_length = len({len(cells) for cells in columns.values()}) == 1
    return columns if len(columns) > 1 and same_length else None


def _is_cell(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _unwrapped(text: str, at: int, value: Mapping[str, object]) -> Numbered:
    columns, wrapper = _columns(value), _wrapper(value)
    if wrapper is None:
        yield from enumerate(_rows_of(columns or {}), start=1)
        return
    names = value.get("columns")
    if isinstance(names, list) and all(isinstance(row, list) for row in _list(value[wrapper])):
        for number, cells in enumerate(_list(value[wrapper]), start=1):
            named = zip(map(str, names), _list(cells), strict=False)
            yield number, {name: cell for name, cell in named if cell is not None}
        return
    if others := [name for name in value if name != wrapper]:
        yield 1, SourceNote(", ".join(others), f"stands beside {wrapper} and is not used")
    start = re.compile(rf'"{wrapper}"\s*:\s*\[').search(text, at)
    if start:
        yield from _elements(text, start.end(), 1)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _rows_of(columns: Mapping[str, list[object]]) -> Iterator[Mapping[str, object]]:
    for cells in zip(*columns.values(), strict=True):
        named = zip(columns, cells, strict=True)
        yield {name: cell for name, cell in named if cell is not None}
