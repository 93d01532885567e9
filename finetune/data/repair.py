"""`finetune check --fix`: writes a fixed copy of a file, in one format; the original stays.

Fixes only what is unambiguous: encodings, other names of roles, a text that ends in a question, an
empty last answer, lines written as Python literals, numbers that are no JSON, the same row twice.
Everything else stays an error and is reported.
"""

import ast
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.data.encodings import (
    BOM,
    Record,
    SourceNote,
    UnreadableRecord,
    container_problem,
    read_bytes,
    suffix_of,
)
from finetune.data.findings import RowError
from finetune.data.formats import NO_COLUMNS, FormatError, to_row
from finetune.data.messages import OTHER_ROLES
from finetune.data.sources import records
from finetune.data.split import whole_text
from finetune.data.training_row import JsonObject, TrainingRow
from playground.files import write_atomic

ROLES = OTHER_ROLES | {"observation": "tool"}
LINES = (".jsonl", ".ndjson")
ENCODINGS = (("utf-16", (b"\xff\xfe", b"\xfe\xff")), ("utf-8-sig", (b"\xef\xbb\xbf",)))


@dataclass(frozen=True, slots=True)
class FixedFile:
    """The copy's path, the lines that were fixed or left out, and what could not be fixed."""

    path: Path
    kept: int
    fixed: tuple[int, ...]
    duplicates: tuple[int, ...]
    errors: tuple[RowError, ...]


def fix(path: Path, columns: Mapping[str, str] = NO_COLUMNS) -> FixedFile:
    """Write ``NAME.fixed.jsonl`` beside ``path``, in the fields of a format.

    Raises `OSError` if either cannot be opened.
    """
    rows: list[TrainingRow] = []
    fixed: list[int] = []
    duplicates: list[int] = []
    errors: list[RowError] = []
    seen: set[str] = set()
    for line, record, changed in _fixed_records(path):
        if isinstance(record, UnreadableRecord):
            errors.append(RowError(path.name, line, record.field, record.problem, "unreadable"))
            continue
        row, error, now_changed = _fixed_row(record, line, columns)
        if row is None:
            if error:
                errors.append(RowError(path.name, line, error.field, error.problem))
            continue
        if changed or now_changed:
            fixed.append(line)
        if whole_text(row) in seen:
            duplicates.append(line)
            continue
        seen.add(whole_text(row))
        rows.append(row)
    stem = path.name.removesuffix(".gz").removesuffix(suffix_of(path))
    target = path.with_name(f"{stem}.fixed.jsonl")
    write_atomic(target, "".join(f"{_line(row)}\n" for row in rows))
    return FixedFile(target, len(rows), tuple(fixed), tuple(duplicates), tuple(errors))


def _line(row: TrainingRow) -> str:
    return json.dumps(row.as_json(), ensure_ascii=False)


def _fixed_records(path: Path) -> Iterator[tuple[int, Record, bool]]:
    """Yield records of the text in UTF-8; a line that is a Python literal is read as one."""
    content = container_problem(path) or read_bytes(path)
    if isinstance(content, UnreadableRecord):
        yield 1, content, False
        return
    suffix = suffix_of(path)
    text = _as_utf8(content)
    lines = text.split("\n") if suffix in LINES else []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"rows{suffix}"
        if suffix != ".parquet":
            copy.write_text(text, encoding="utf-8", newline="")
        else:
            copy.write_bytes(content)
        other_encoding = text.encode("utf-8", "replace") not in (content, content[len(BOM) :])
        for line, record in records(copy):
            if isinstance(record, SourceNote):
                continue
            if isinstance(record, UnreadableRecord) and line <= len(lines):
                literal = _python_literal(lines[line - 1])
                if literal is not None:
                    yield line, literal, True
                    continue
            yield line, record, other_encoding


def _python_literal(text: str) -> JsonObject | None:
    """Parse a line with single quotes, trailing commas, None or NaN; nothing is executed."""
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        try:
            value = json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _as_utf8(content: bytes) -> str:
    for encoding, marks in ENCODINGS:
        if content.startswith(marks):
            return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _fixed_row(
    record: Mapping[str, object], line: int, columns: Mapping[str, str]
) -> tuple[TrainingRow | None, FormatError | None, bool]:
    try:
        return to_row(record, line, columns).row, None, False
    except FormatError:
        pass
    try:
        return to_row(_fixed(record), line, columns).row, None, True
    except FormatError as error:
        return None, error, False


def _fixed(record: Mapping[str, object]) -> JsonObject:
    result = dict(record)
    for name in ("messages", "conversations", "prompt", "completion", "chosen", "rejected"):
        bodies = result.get(name)
        if isinstance(bodies, list):
            result[name] = _messages(bodies)
    tools = result.get("tools")
    if isinstance(tools, str) and not tools.strip():
        del result["tools"]
    return result


def _messages(bodies: Sequence[object]) -> list[JsonObject]:
    """Fix each message, and leave out what follows the last answer."""
    messages = [_message(body) for body in bodies if isinstance(body, dict)]
    if any(_is_answer(message) for message in messages):
        while not _is_answer(messages[-1]):
            messages.pop()
    return messages


def _message(body: JsonObject) -> JsonObject:
    result = dict(body)
    for name, content in (("role", "content"), ("from", "value")):
        role = result.get(name)
        if isinstance(role, str):
            plain = role.strip().lower()
            result[name] = ROLES.get(plain, plain) if name == "role" else plain
        if isinstance(result.get(content), (int, float, bool)):
            result[content] = json.dumps(result[content])
    parts = result.get("content")
    if isinstance(parts, list) and all(_is_text_part(part) for part in parts):
        result["content"] = "".join(str(part.get("text", "")) for part in parts)
    return result


def _is_text_part(part: object) -> bool:
    """Whether it is a text part of OpenAI's content lists."""
    return isinstance(part, dict) and part.get("type") == "text"


def _is_answer(body: JsonObject) -> bool:
    if body.get("role", body.get("from")) not in ("assistant", "gpt"):
        return False
    text = body.get("content", body.get("value"))
    return bool(body.get("tool_calls")) or (isinstance(text, str) and bool(text.strip()))
