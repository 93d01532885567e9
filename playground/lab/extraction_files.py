"""Texts to extract from, read from CSV and text files; results written as JSON lines and CSV."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from playground.errors import InvalidRequest
from playground.lab.extraction import Extracted
from playground.protocol.json_types import Json

MAX_TEXTS = 10_000
MAX_FILE_BYTES = 32 * 1024**2
TABLES = (".csv", ".tsv")
NO_HEADER = ""
"""In place of a column's name: the file has one column and no header."""
TEXT_COLUMNS = ("text", "content", "input", "body", "message")
Cell: TypeAlias = str | int | float


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a CSV file. ``guess`` is the one that holds the texts, as far as its name
    (``is_known``) or the length of its cells says.
    """

    names: tuple[str, ...]
    guess: str
    is_known: bool
    has_header: bool = True


def columns_of_file(path: Path) -> Columns | None:
    """Return the columns of a CSV file as its first row names them; None for other files.

    Raises `InvalidRequest` as `texts_of_file` does.
    """
    if path.suffix.lower() not in TABLES:
        return None
    rows = _rows(_text(path))
    if not rows:
        return None
    # Names are no numbers: a first row with one is data.
    has_header = not any(cell.strip().replace(".", "", 1).isdigit() for cell in rows[0])
    names = tuple(
        (cell.strip() if has_header else "") or f"Column {number}"
        for number, cell in enumerate(rows[0], 1)
    )
    lower = [name.lower() for name in names]
    known = next((names[lower.index(name)] for name in TEXT_COLUMNS if name in lower), None)
    if known is not None:
        return Columns(names, known, is_known=True)
    lengths = [sum(len(row[n]) for row in rows if n < len(row)) for n in range(len(names))]
    guess = NO_HEADER if len(names) == 1 else names[lengths.index(max(lengths))]
    return Columns(names, guess, is_known=len(names) == 1, has_header=has_header)


def texts_of_file(path: Path, column: str | None = None) -> tuple[str, ...]:
    """Return the texts of a CSV or text file.

    Of a CSV, the ``column`` of that name (`NO_HEADER`: the only one, from its first row on), or
    else the one that `columns_of_file` guesses; of a text file, paragraphs where blank lines
    separate them, lines otherwise.

    Raises `InvalidRequest` for a file that is too large, is not UTF-8 or holds no text, and for a
    column that it does not have.
    """
    columns = columns_of_file(path)
    if columns is None:
        texts = texts_of_text(_text(path))
    else:
        texts = _cells(_rows(_text(path)), columns, columns.guess if column is None else column)
    if not texts:
        raise InvalidRequest("file", "there is no text in it")
    if len(texts) > MAX_TEXTS:
        raise InvalidRequest("file", f"{len(texts):,} texts; {MAX_TEXTS:,} at most")
    return texts


def texts_of_text(text: str) -> tuple[str, ...]:
    """Return paragraphs where blank lines separate them, lines otherwise."""
    plain = text.replace("\r\n", "\n").strip()
    parts = plain.split("\n\n") if "\n\n" in plain else plain.split("\n")
    return tuple(part.strip() for part in parts if part.strip())


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InvalidRequest("file", f"larger than {MAX_FILE_BYTES // 1024**2} MiB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest("file", f"not UTF-8 at byte {error.start}") from error


def _rows(text: str) -> list[list[str]]:
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        return [row for row in csv.reader(io.StringIO(text), dialect) if any(map(str.strip, row))]
    except csv.Error as error:
        raise InvalidRequest("file", f"no CSV: {error}") from error


def _cells(rows: list[list[str]], columns: Columns, column: str) -> tuple[str, ...]:
    if column == NO_HEADER:
        index, body = 0, rows
    elif column in columns.names:
        index, body = columns.names.index(column), rows[int(columns.has_header) :]
    else:
        raise InvalidRequest("column", f"there is no {column!r}; choose one of the file's")
    cells = (row[index].strip() for row in body if index < len(row))
    return tuple(cell for cell in cells if cell)


def as_jsonl(rows: Sequence[Extracted]) -> str:
    """Return one JSON line per text, in the order of the texts."""
    lines = (
        {"text": row.text, "value": row.value}
        | ({"guarantee": row.guarantee} if row.guarantee else {})
        | ({"problem": row.problem} if row.problem else {})
        for row in sorted(rows, key=lambda row: row.index)
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def as_table(rows: Sequence[Extracted]) -> tuple[list[str], list[list[Cell]]]:
    """Return column names and rows: the text, each field of the values, the problem.

    Nested values are JSON text.
    """
    ordered = sorted(rows, key=lambda row: row.index)
    fields = list(
        dict.fromkeys(key for row in ordered if isinstance(row.value, dict) for key in row.value)
    )
    plain = any(row.value is not None and not isinstance(row.value, dict) for row in ordered)
    heads = ["text", *fields, *(["value"] if plain else []), "problem"]
    table: list[list[Cell]] = []
    for row in ordered:
        value = row.value if isinstance(row.value, dict) else {}
        cells = [_cell(value.get(field)) for field in fields]
        if plain:
            cells.append("" if isinstance(row.value, dict) else _cell(row.value))
        table.append([row.text, *cells, row.problem])
    return heads, table


def as_csv(rows: Sequence[Extracted]) -> str:
    """Return `as_table` as CSV.

    A cell that a spreadsheet would take for a formula is quoted as text
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    heads, table = as_table(rows)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([[_harmless(cell) for cell in row] for row in table])
    return out.getvalue()


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def _cell(value: Json) -> Cell:
    if value is None:
        return ""
    if isinstance(value, dict | list | bool):
        return json.dumps(value, ensure_ascii=False)
    return value
