"""`finetune check --fix`: a repaired copy of a file, in one format. The original is never written.

Mends only what has one meaning: encodings, other names of roles, a text that ends in a question, an
empty last answer, lines written as Python literals, numbers that are no JSON, the same row twice.
What is left stays an error, and is named.
"""

import ast
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.formats import FormatError, row_of
from finetune.data.rows import Row, RowError
from finetune.data.sources import BOM, Record, UnreadableRecord, records
from finetune.data.split import whole_text

ROLES = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "chatbot": "assistant",
    "function": "tool",
    "observation": "tool",
    "developer": "system",
}
LINES = (".jsonl", ".ndjson")
ENCODINGS = (("utf-16", (b"\xff\xfe", b"\xfe\xff")), ("utf-8-sig", (b"\xef\xbb\xbf",)))


@dataclass(frozen=True, slots=True)
class Repaired:
    """Where the copy is, which lines were mended or left out, and what could not be mended."""

    path: Path
    kept: int
    mended: tuple[int, ...]
    duplicates: tuple[int, ...]
    errors: tuple[RowError, ...]


def repair(path: Path) -> Repaired:
    """Write ``NAME.fixed.jsonl`` beside ``path``. Raises `OSError` if either cannot be opened."""
    rows: list[Row] = []
    mended: list[int] = []
    duplicates: list[int] = []
    errors: list[RowError] = []
    seen: set[str] = set()
    for line, record, changed in _mended_records(path):
        if isinstance(record, UnreadableRecord):
            errors.append(RowError(path.name, line, record.field, record.problem))
            continue
        row, error, now_changed = _mended_row(record, line)
        if row is None:
            if error:
                errors.append(RowError(path.name, line, error.field, error.problem))
            continue
        if changed or now_changed:
            mended.append(line)
        if whole_text(row) in seen:
            duplicates.append(line)
            continue
        seen.add(whole_text(row))
        rows.append(row)
    target = path.with_name(f"{path.stem}.fixed.jsonl")
    temporary = target.with_suffix(".tmp")
    temporary.write_text("".join(f"{_line(row)}\n" for row in rows), encoding="utf-8")
    temporary.replace(target)
    return Repaired(target, len(rows), tuple(mended), tuple(duplicates), tuple(errors))


def _line(row: Row) -> str:
    return json.dumps(row.as_json(), ensure_ascii=False)


def _mended_records(path: Path) -> Iterator[tuple[int, Record, bool]]:
    """Records of the same text in UTF-8; a line that is a Python literal is read as one."""
    content = path.read_bytes()
    text = _as_utf8(content)
    lines = text.split("\n") if path.suffix.lower() in LINES else []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        if path.suffix.lower() != ".parquet":
            copy.write_text(text, encoding="utf-8", newline="")
        else:
            copy.write_bytes(content)
        other_encoding = text.encode("utf-8", "replace") not in (content, content[len(BOM) :])
        for line, record in records(copy):
            if isinstance(record, UnreadableRecord) and line <= len(lines):
                literal = _python_literal(lines[line - 1])
                if literal is not None:
                    yield line, literal, True
                    continue
            yield line, record, other_encoding


def _python_literal(text: str) -> dict[str, Any] | None:
    """A line with single quotes, trailing commas, None or NaN: read, never executed."""
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


def _mended_row(
    record: Mapping[str, Any], line: int
) -> tuple[Row | None, FormatError | None, bool]:
    try:
        return row_of(record, line)[1], None, False
    except FormatError:
        pass
    try:
        return row_of(_mended(record), line)[1], None, True
    except FormatError as wrong:
        return None, wrong, False


def _mended(record: Mapping[str, Any]) -> dict[str, Any]:
    done = dict(record)
    for name in ("messages", "conversations", "prompt", "completion", "chosen", "rejected"):
        if isinstance(done.get(name), list):
            done[name] = _messages(done[name])
    if isinstance(done.get("tools"), str) and not done["tools"].strip():
        del done["tools"]
    return done


def _messages(bodies: Sequence[Any]) -> list[Any]:
    messages = [_message(body) for body in bodies if isinstance(body, dict)]
    has_answer = any(_role(each) in ("assistant", "gpt") and _says(each) for each in messages)
    while has_answer and not (_role(messages[-1]) in ("assistant", "gpt") and _says(messages[-1])):
        messages.pop()
    return messages


def _message(body: dict[str, Any]) -> dict[str, Any]:
    done = dict(body)
    for name, content in (("role", "content"), ("from", "value")):
        role = done.get(name)
        if isinstance(role, str):
            plain = role.strip().lower()
            done[name] = ROLES.get(plain, plain) if name == "role" else plain
        if isinstance(done.get(content), (int, float, bool)):
            done[content] = json.dumps(done[content])
    if isinstance(done.get("content"), list):  # OpenAI's content parts
        parts = done["content"]
        if all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
            done["content"] = "".join(str(part.get("text", "")) for part in parts)
    return done


def _role(body: Any) -> Any:
    return body.get("role", body.get("from"))


def _says(body: Any) -> bool:
    text = body.get("content", body.get("value"))
    return bool(body.get("tool_calls")) or (isinstance(text, str) and bool(text.strip()))
