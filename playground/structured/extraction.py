"""JSON mode over texts: one or many, each answered with a value of the same schema.

The request carries the schema twice: as the grammar, and in the system prompt, where the model can
read what the fields are for.
"""

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from playground.errors import InvalidRequest, PlaygroundError
from playground.protocol import (
    Answer,
    Backend,
    Guarantee,
    Message,
    Priority,
    Request,
    ResponseFormat,
    Sampling,
    answer,
)

INSTRUCTION = "Extract the data as JSON with this schema: {schema}"
AT_ONCE = 32
MOST_TEXTS = 10_000
LARGEST_FILE = 32 * 1024**2
TEXT_COLUMNS = ("text", "content", "input", "body", "message")
MOST_MARKS = 500


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came of the text at ``index``: a value with its guarantee, or a problem."""

    index: int
    text: str
    value: Any = None
    guarantee: Guarantee | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FieldMark:
    """One value within an answer: its JSON path, the rules of the schema that hold for it, and what
    breaks them, if anything does.
    """

    path: str
    value: Any
    rules: str
    problem: str = ""


def json_request(
    model: str,
    text: str,
    schema: Mapping[str, Any],
    sampling: Sampling,
    instruction: str = INSTRUCTION,
    strict: bool = True,
) -> Request:
    """Asks for a value of ``schema`` drawn from ``text``. ``{schema}`` in the instruction stands
    for the schema.
    """
    told = instruction.replace("{schema}", json.dumps(schema, ensure_ascii=False))
    system = (Message("system", told),) if told.strip() else ()
    return Request(
        model,
        (*system, Message("user", text)),
        response_format=ResponseFormat(schema, strict),
        sampling=sampling,
    )


async def extract_many(
    backend: Backend, like: Request, texts: Sequence[str]
) -> AsyncGenerator[Extracted, None]:
    """Each text answered as ``like`` is asked (its last message is replaced), as they come; after
    the requests of people, some dozens at once. One that fails is reported and the rest go on.
    """
    waiting: Iterator[tuple[int, str]] = iter(enumerate(texts))
    running: set[asyncio.Task[Extracted]] = set()
    try:
        while True:
            for index, text in waiting:
                running.add(asyncio.create_task(_extract(backend, like, index, text)))
                if len(running) >= AT_ONCE:
                    break
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: task.result().index):
                yield task.result()
    finally:
        for task in running:
            task.cancel()


async def _extract(backend: Backend, like: Request, index: int, text: str) -> Extracted:
    try:
        messages = (*like.messages[:-1], Message("user", text))
        request = replace(like, messages=messages, priority=Priority.BATCH, id=f"{like.id}-{index}")
        return extracted(await answer(backend, request), index, text)
    except PlaygroundError as error:
        return Extracted(index, text, problem=error.message)


def extracted(answered: Answer, index: int = 0, text: str = "") -> Extracted:
    """A finished answer as a value; one that is no JSON is a problem."""
    if answered.finish_reason == "length":
        return Extracted(index, text, problem="stopped at max tokens before the value was complete")
    if answered.finish_reason == "cancelled":
        return Extracted(index, text, problem="cancelled")
    try:
        value = json.loads(answered.text)
    except ValueError as error:
        return Extracted(index, text, problem=f"not JSON: {error}")
    problem = "breaks the schema" if answered.guarantee == "none" else ""
    return Extracted(index, text, value, answered.guarantee, problem)


def texts_of_file(path: Path) -> tuple[str, ...]:
    """The texts of a CSV (its column ``text``, or else the one with the longest texts), or of a
    text file: paragraphs where blank lines part them, lines otherwise.

    Raises `InvalidRequest` for a file that is too large, is not UTF-8 or holds no text.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise InvalidRequest("file", f"larger than {LARGEST_FILE // 1024**2} MiB")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest("file", f"not UTF-8 at byte {error.start}") from error
    found = _column(text) if path.suffix.lower() in (".csv", ".tsv") else texts_of_text(text)
    if not found:
        raise InvalidRequest("file", "there is no text in it")
    if len(found) > MOST_TEXTS:
        raise InvalidRequest("file", f"{len(found):,} texts; {MOST_TEXTS:,} at most")
    return found


def texts_of_text(text: str) -> tuple[str, ...]:
    """Paragraphs where blank lines part them, lines otherwise."""
    plain = text.replace("\r\n", "\n").strip()
    parts = plain.split("\n\n") if "\n\n" in plain else plain.split("\n")
    return tuple(part.strip() for part in parts if part.strip())


def _column(text: str) -> tuple[str, ...]:
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [row for row in csv.reader(io.StringIO(text), dialect) if any(map(str.strip, row))]
    except csv.Error as error:
        raise InvalidRequest("file", f"no CSV: {error}") from error
    if not rows:
        return ()
    head = [cell.strip().lower() for cell in rows[0]]
    named = [head.index(name) for name in TEXT_COLUMNS if name in head]
    if named:
        column, body = named[0], rows[1:]
    else:
        width = max(map(len, rows))
        lengths = [sum(len(row[at]) for row in rows if at < len(row)) for at in range(width)]
        column, body = lengths.index(max(lengths)), rows
    cells = (row[column].strip() for row in body if column < len(row))
    return tuple(cell for cell in cells if cell)


def as_jsonl(rows: Sequence[Extracted]) -> str:
    """One line a text, in the order of the texts."""
    lines = (
        {"text": row.text, "value": row.value}
        | ({"guarantee": row.guarantee} if row.guarantee else {})
        | ({"problem": row.problem} if row.problem else {})
        for row in sorted(rows, key=lambda row: row.index)
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def as_table(rows: Sequence[Extracted]) -> tuple[list[str], list[list[Any]]]:
    """Column names and rows: the text, each field of the values, the problem. What is nested is
    JSON text.
    """
    ordered = sorted(rows, key=lambda row: row.index)
    fields = list(
        dict.fromkeys(key for row in ordered if isinstance(row.value, dict) for key in row.value)
    )
    plain = any(row.value is not None and not isinstance(row.value, dict) for row in ordered)
    heads = ["text", *fields, *(["value"] if plain else []), "problem"]
    table = []
    for row in ordered:
        value = row.value if isinstance(row.value, dict) else {}
        cells = [_cell(value.get(field)) for field in fields]
        if plain:
            cells.append("" if isinstance(row.value, dict) else _cell(row.value))
        table.append([row.text, *cells, row.problem])
    return heads, table


def as_csv(rows: Sequence[Extracted]) -> str:
    """`as_table` as CSV. A cell that a spreadsheet would take for a formula is quoted as text
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    heads, table = as_table(rows)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([[_harmless(cell) for cell in row] for row in table])
    return out.getvalue()


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list | bool):
        return json.dumps(value, ensure_ascii=False)
    return value


def field_marks(schema: Mapping[str, Any], value: Any) -> tuple[FieldMark, ...]:
    """Every value within the answer that is no container, with its rules and what breaks them.
    Faults of a container (a missing field, too few items) stand at its own path.
    """
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    problems: dict[str, str] = {}
    for error in validator.iter_errors(value):
        problems.setdefault(error.json_path, error.message[:200])
    marks = []
    for path, found, rule in _leaves("$", value, schema, schema):
        problem = problems.pop(path, "")
        marks.append(FieldMark(path, found, _rules(rule), problem))
    faults = [FieldMark(path, None, "", problem) for path, problem in problems.items()]
    return tuple([*faults, *marks][:MOST_MARKS])


def _leaves(
    path: str, value: Any, schema: Any, root: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    rule = _resolved(schema, root)
    if isinstance(value, dict) and value:
        for key, child in value.items():
            inner = (rule.get("properties") or {}).get(key, rule.get("additionalProperties"))
            plain = key.isidentifier()
            yield from _leaves(f"{path}.{key}" if plain else f"{path}[{key!r}]", child, inner, root)
    elif isinstance(value, list) and value:
        first = rule.get("prefixItems") or []
        for at, child in enumerate(value):
            inner = first[at] if at < len(first) else rule.get("items")
            yield from _leaves(f"{path}[{at}]", child, inner, root)
    else:
        yield path, value, rule


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(16):
        if not (isinstance(schema, dict) and str(schema.get("$ref", "")).startswith("#/")):
            break
        node: Any = root
        for part in schema["$ref"][2:].split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if node else None
        schema = node
    return schema if isinstance(schema, dict) else {}


def _rules(schema: Mapping[str, Any]) -> str:
    """The rules in words short enough for a table."""
    shown: list[str] = []
    for key, rule in schema.items():
        if key == "type":
            shown.insert(0, rule if isinstance(rule, str) else " or ".join(map(str, rule)))
        elif key in ("enum", "anyOf", "oneOf", "allOf"):
            options = [each if key == "enum" else _rules(_resolved(each, {})) for each in rule]
            shown.append(f"{key}: {', '.join(map(str, options))}"[:120])
        elif key not in ("description", "title", "default", "examples", "properties", "$ref"):
            shown.append(f"{key} {json.dumps(rule, ensure_ascii=False)}"[:80])
    return ", ".join(shown)
