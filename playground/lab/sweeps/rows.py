"""Rows of a sweep: read from text or a file (JSON lines, JSON, CSV, TSV), and each row's fields.

A broken row is named with its line and column. Knows no prompt and no backend.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from playground.errors import InvalidRequest
from playground.evaluation.graders import Grader, calls_of
from playground.lab.sweeps.definition import MAX_ROWS, SweepRow
from playground.protocol import Message, Role, Tool, ToolCall
from playground.protocol.json_types import Json, JsonObject

FIELD = "rows"
MAX_FILE_BYTES = 64 * 1024**2
EXPECTED_FIELDS: Final = (
    "expected", "expected_output", "reference", "ideal", "answer", "completion",
)  # fmt: skip
"""Fields whose text is the answer that is wanted: the first of them that a row has."""
Located = tuple[int, JsonObject]
"""A row with its line, from 1."""
RowsReader = Callable[[str], list[Located]]
"""Reads the file that a sweep names as its rows. Raises `InvalidRequest`."""


def rows_of_file(path: Path) -> list[Located]:
    """Read a file of rows. Raises `InvalidRequest` with line and column."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidRequest(FIELD, f"{path.name} is larger than {MAX_FILE_BYTES >> 20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(error.object[: error.start])
        raise InvalidRequest(FIELD, f"line {line}, column {column}: not UTF-8") from error
    except OSError as error:
        raise InvalidRequest(FIELD, f"{path}: {error.strerror}") from error
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _checked(_csv_rows(text, "\t" if suffix == ".tsv" else ","))
    return rows_of_text(text)


def rows_of_text(text: str) -> list[Located]:
    """Read rows that somebody wrote: JSON lines, a JSON list, or CSV with a header.

    Raises `InvalidRequest` with line and column.
    """
    begin = text.lstrip()[:1]
    if begin == "[":
        rows = _json_list(text)
    elif begin == "{":
        rows = _json_lines(text)
    else:
        header = next((line for line in text.splitlines() if line.strip()), "")
        rows = _csv_rows(text, "\t" if "\t" in header else ";" if ";" in header else ",")
    return _checked(rows)


def _checked(rows: list[Located]) -> list[Located]:
    if not rows:
        raise InvalidRequest(FIELD, "there are none")
    if len(rows) > MAX_ROWS:
        raise InvalidRequest(FIELD, f"{len(rows):,}; {MAX_ROWS:,} at most")
    return rows


def _json_lines(text: str) -> list[Located]:
    rows = []
    for line, row in enumerate(text.splitlines(), 1):
        if row.strip():
            rows.append((line, _object(_parsed(row, line), line)))
    return rows


def _json_list(text: str) -> list[Located]:
    values = _parsed(text, 1)
    if not isinstance(values, list):
        raise InvalidRequest(FIELD, "line 1: must be a list of objects")
    return [(number, _object(value, number)) for number, value in enumerate(values, 1)]


def _parsed(text: str, line: int) -> Json:
    try:
        value: Json = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            FIELD, f"line {line + error.lineno - 1}, column {error.colno}: not JSON: {error.msg}"
        ) from error
    except (RecursionError, ValueError) as error:
        raise InvalidRequest(FIELD, f"line {line}, column 1: not JSON: {error}") from error
    return value


def _object(value: Json, line: int) -> JsonObject:
    if not isinstance(value, dict):
        raise InvalidRequest(FIELD, f"line {line}, column 1: a row is a JSON object")
    return value


def _csv_rows(text: str, delimiter: str) -> list[Located]:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    rows: list[Located] = []
    names: list[str] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if not names:
                    names = _header([cell.strip() for cell in cells], line)
                elif len(cells) != len(names):
                    raise InvalidRequest(
                        FIELD,
                        f"line {line}, column {min(len(cells), len(names)) + 1}: {len(cells)} cells"
                        f" under {len(names)} headings",
                    )
                else:
                    rows.append((line, dict(zip(names, cells, strict=True))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidRequest(FIELD, f"line {reader.line_num}, column 1: no CSV: {error}") from error
    return rows


def _header(names: list[str], line: int) -> list[str]:
    for column, name in enumerate(names, 1):
        if not name or name in names[: column - 1]:
            problem = f"the heading {name!r} stands there twice" if name else "no heading"
            raise InvalidRequest(FIELD, f"line {line}, column {column}: {problem}")
    return names


def _place(before: bytes) -> tuple[int, int]:
    return before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1


def read_row(line: int, source: Mapping[str, Json], graders: Sequence[Grader] = ()) -> SweepRow:
    """Read a row's fields: variables, and if it has them a conversation (``messages``, or
    ``prompt`` with ``completion``), tools, and the answer that is wanted.

    OpenAI's ``{"item": {…}}`` is taken for the item. Raises `InvalidRequest` with line and field.
    """
    item = source.get("item")
    fields = item if isinstance(item, dict) and set(source) <= {"item", "sample"} else source
    where = f"{FIELD}: line {line}"
    messages = _messages(fields, where)
    expected, calls = _expected(fields, where)
    if messages and messages[-1].role == "assistant":
        last = messages[-1]
        messages = messages[:-1]
        if expected is None and not calls:
            expected, calls = last.content, last.tool_calls
    variables = {key: value for key, value in fields.items() if key != "graders"}
    if expected is not None:
        variables["expected"] = expected
    try:
        tools = tools_of(fields.get("tools"))
    except InvalidRequest as error:
        raise InvalidRequest(f"{where}: {error.field}", error.problem) from error
    return SweepRow(line, dict(source), variables, messages, tools, expected, calls, tuple(graders))


def _expected(fields: Mapping[str, Json], where: str) -> tuple[str | None, tuple[ToolCall, ...]]:
    value = next((fields[name] for name in EXPECTED_FIELDS if name in fields), None)
    calls = fields.get("expected_calls")
    text: str | None = None
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and value and isinstance(value[-1], dict) and "role" in value[-1]:
        last = read_messages(value, f"{where}: completion")[-1]  # TRL's conversational form
        return last.content, last.tool_calls
    elif value is not None:
        text = json.dumps(value, ensure_ascii=False)
    if calls is None:
        return text, ()
    try:
        return text, calls_of(calls if isinstance(calls, list) else [calls])
    except (ValueError, InvalidRequest) as error:
        raise InvalidRequest(f"{where}: expected_calls", str(error)) from error


def _messages(fields: Mapping[str, Json], where: str) -> tuple[Message, ...]:
    value, prompt = fields.get("messages"), fields.get("prompt")
    if isinstance(value, list):
        return read_messages(value, f"{where}: messages")
    if value is not None:
        raise InvalidRequest(f"{where}: messages", "must be a list")
    if isinstance(prompt, list):
        return read_messages(prompt, f"{where}: prompt")
    if isinstance(prompt, str) and prompt and "completion" in fields:
        return (Message("user", prompt),)
    return ()


def read_messages(values: Sequence[Json], where: str) -> tuple[Message, ...]:
    """Read messages in OpenAI's form; ``developer`` is the system. Raises `InvalidRequest`."""
    messages = []
    for number, value in enumerate(values):
        place = f"{where}[{number}]"
        if not isinstance(value, dict):
            raise InvalidRequest(place, "a message is an object")
        try:
            messages.append(_message(value))
        except InvalidRequest as error:
            raise InvalidRequest(f"{place}.{error.field}", error.problem) from error
        except ValueError as error:
            raise InvalidRequest(place, str(error)) from error
    return tuple(messages)


def _message(value: JsonObject) -> Message:
    role = str(value.get("role"))
    calls = value.get("tool_calls")
    call_id, name = value.get("tool_call_id"), value.get("name")
    return Message(
        _role(role),
        _content(value.get("content")),
        calls_of(calls) if isinstance(calls, list) else (),
        str(call_id) if call_id else None,
        str(name) if name else None,
    )


def _role(role: str) -> Role:
    return "system" if role == "developer" else role  # type: ignore[return-value]  # Message checks


def _content(value: Json) -> str:
    """A text, or the texts of its parts."""
    if value is None or isinstance(value, str):
        return value or ""
    parts = value if isinstance(value, list) else [value]
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            raise InvalidRequest("content", "only text is supported")
        texts.append(text)
    return "".join(texts)


def tools_of(value: Json) -> tuple[Tool, ...]:
    """Read OpenAI's tools, or bare functions. Raises `InvalidRequest`."""
    if value is None:
        return ()
    tools = []
    for item in value if isinstance(value, list) else [value]:
        function = item.get("function", item) if isinstance(item, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InvalidRequest("tools", "a tool is an object with a function's name")
        parameters = function.get("parameters")
        tools.append(
            Tool(
                str(function["name"]),
                str(function.get("description") or ""),
                parameters if isinstance(parameters, dict) else None,
            )
        )
    return tuple(tools)
