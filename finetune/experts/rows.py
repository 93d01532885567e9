"""Rows of training data: read, recognised, and refused with file, line, field and fix.

Formats: ``messages`` (OpenAI's, with tools), prompt and completion, Alpaca's, ShareGPT's. Each line
comes out either as a `Conversation` or as a `Fault`; none is dropped.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.errors import InvalidRequest
from playground.protocol import Message, Tool, ToolCall

SHAREGPT_ROLES = {"system": "system", "human": "user", "user": "user", "gpt": "assistant"}
LONGEST_LINE = 20_000_000
"""Characters; a longer line is a fault, not a row."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row. ``line`` counts from 1."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that cannot be trained on, and what to do about it."""

    file: str
    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.problem}"


@dataclass(frozen=True, slots=True)
class ReadRows:
    """A file's rows and faults; together as many as it has lines that are not empty."""

    conversations: tuple[Conversation, ...]
    faults: tuple[Fault, ...]
    formats: Mapping[str, int]


def read_rows(path: Path) -> ReadRows:
    """Read JSON lines. Raises `OSError` if the file cannot be read at all."""
    conversations: list[Conversation] = []
    faults: list[Fault] = []
    formats: dict[str, int] = {}
    for number, line in _lines(path):
        try:
            kind, conversation = _conversation(line, number)
        except _Wrong as wrong:
            faults.append(Fault(path.name, number, wrong.field, wrong.problem))
            continue
        formats[kind] = formats.get(kind, 0) + 1
        conversations.append(conversation)
    return ReadRows(tuple(conversations), tuple(faults), formats)


class _Wrong(Exception):
    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if content.strip():
                yield number, content


def _conversation(line: bytes, number: int) -> tuple[str, Conversation]:
    if len(line) > LONGEST_LINE:
        raise _Wrong("line", f"has {len(line):,} bytes; {LONGEST_LINE:,} at most")
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _Wrong(
            "line", f"is not UTF-8 at byte {error.start}; save the file as UTF-8"
        ) from None
    except RecursionError:
        raise _Wrong("line", "is nested too deeply") from None
    except ValueError as error:
        raise _Wrong("line", f"is not JSON: {error}; one object a line") from None
    if not isinstance(row, dict):
        raise _Wrong("line", "is not a JSON object")
    kind, messages = _messages(row)
    tools = _tools(row.get("tools"))
    built = tuple(_message(at, each) for at, each in enumerate(messages))
    if not any(message.role == "assistant" for message in built):
        raise _Wrong("messages", "has no assistant message, so nothing to learn")
    return kind, Conversation(built, tools, number)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _messages(row: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
    """The row's format and its messages in OpenAI's form."""
    if "messages" in row:
        return "messages", _list(row, "messages")
    if "conversations" in row:
        turns = _list(row, "conversations")
        return "sharegpt", [_from_sharegpt(at, turn) for at, turn in enumerate(turns)]
    if "prompt" in row and "completion" in row:
        return "prompt and completion", [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ]
    if "instruction" in row and "output" in row:
        asked = [row["instruction"], row.get("input") or ""]
        if not all(isinstance(text, str) for text in asked):
            raise _Wrong("instruction", "must be text")
        system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
        return "alpaca", [
            *system,
            {"role": "user", "content": "\n\n".join(text for text in asked if text)},
            {"role": "assistant", "content": row["output"]},
        ]
    known = "messages, conversations, prompt and completion, or instruction and output"
    raise _Wrong("line", f"has none of the known fields: {known}")


def _list(row: Mapping[str, Any], name: str) -> list[Any]:
    value = row[name]
    if not isinstance(value, list) or not value:
        raise _Wrong(name, "must be a list that is not empty")
    return value


def _from_sharegpt(at: int, turn: Any) -> dict[str, Any]:
    if not isinstance(turn, dict) or turn.get("from") not in SHAREGPT_ROLES:
        raise _Wrong(f"conversations[{at}].from", f"must be one of {', '.join(SHAREGPT_ROLES)}")
    return {"role": SHAREGPT_ROLES[turn["from"]], "content": turn.get("value")}


def _message(at: int, body: Any) -> Message:
    place = f"messages[{at}]"
    if not isinstance(body, dict):
        raise _Wrong(place, "must be an object with role and content")
    calls = body.get("tool_calls") or ()
    content = body.get("content")
    if content is None and calls:
        content = ""
    if not isinstance(content, str):
        raise _Wrong(f"{place}.content", "must be text")
    if body.get("role") == "assistant" and not content.strip() and not calls:
        raise _Wrong(f"{place}.content", "is empty: there is nothing to learn from it")
    try:
        return Message(
            role=body.get("role", ""),
            content=content,
            tool_calls=tuple(_call(f"{place}.tool_calls[{i}]", c) for i, c in enumerate(calls)),
            tool_call_id=body.get("tool_call_id"),
        )
    except InvalidRequest as error:
        raise _Wrong(f"{place}.{error.field.removeprefix('messages.')}", error.problem) from None


def _call(place: str, body: Any) -> ToolCall:
    function = body.get("function") if isinstance(body, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _Wrong(f"{place}.function", "must have a name and arguments")
    arguments = function.get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(str(body.get("id") or ""), function["name"], text)


def _tools(body: Any) -> tuple[Tool, ...]:
    if body is None:
        return ()
    if not isinstance(body, list):
        raise _Wrong("tools", "must be a list")
    tools = []
    for at, each in enumerate(body):
        function = each.get("function") if isinstance(each, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _Wrong(f"tools[{at}].function", "must have a name")
        parameters = function.get("parameters")
        if parameters is not None and not isinstance(parameters, dict):
            raise _Wrong(f"tools[{at}].function.parameters", "must be a JSON schema")
        tools.append(Tool(function["name"], str(function.get("description") or ""), parameters))
    return tuple(tools)
