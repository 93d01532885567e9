"""Builds the messages of a row, and says which message stands where none can.

A chat template renders messages in any order; a training row has to make sense: every trained
answer follows a question, and every call has its result unless it is the last.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from finetune.data.fields import (
    MEDIA,
    MEDIA_PROBLEM,
    UNUSED,
    Body,
    FormatError,
    Notes,
    Piece,
    json_of,
    text_of,
)
from finetune.data.training_row import JsonObject
from playground.errors import InvalidRequest
from playground.protocol import Message, ToolCall
from playground.protocol.messages import Role

SHAREGPT_ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "tool": "tool",
}
OTHER_ROLES = {"developer": "system", "human": "user", "function": "tool"} | dict.fromkeys(
    ("gpt", "model", "chatbot", "bot", "ai"), "assistant"
)
"""Roles of OpenAI's newer and older rows, Vertex AI's, Cohere's, ShareGPT's."""
FLAGS = ("weight", "train", "loss")
"""Fields of a message that say whether it is learned: OpenAI's, Axolotl's, SWIFT's."""
REASONING = ("reasoning_content", "reasoning", "thinking")
"""Fields of a message for what comes before its answer: DeepSeek's, OpenRouter's, gpt-oss's."""
REASONING_NOTE = "is learned only by models with thinking blocks"
KNOWN = frozenset(
    {"role", "content", "tool_calls", "tool_call_id", "name", "function_call", "from", "value"}
).union(FLAGS)


@dataclass(frozen=True, slots=True)
class Built:
    """Messages, the places of masked answers among them, and where each stands in the record."""

    messages: tuple[Message, ...]
    masked: tuple[int, ...]
    places: tuple[str, ...]


def build(pieces: Sequence[Piece], notes: Notes) -> Built:
    """Build messages; calls and results without ids are given matching ones in their order.

    Calls that follow an assistant's message become part of it. Raises `FormatError`.
    """
    builder = _Builder(notes)
    for place, body in pieces:
        builder.add(place, body)
    masked = tuple(at for at, is_masked in enumerate(builder.is_masked) if is_masked)
    return Built(tuple(builder.messages), masked, tuple(builder.places))


@dataclass(slots=True)
class _Builder:
    notes: Notes
    messages: list[Message] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    is_masked: list[bool] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, place: str, body: object) -> None:
        given = _in_openai_form(place, body)
        _note_fields(place, given, self.notes)
        if given.get("role") == "tool" and not given.get("tool_call_id"):
            given["tool_call_id"] = self.waiting.pop(0) if self.waiting else None
        message = _message(place, given, self.count, self.notes)
        is_masked = _is_masked(place, given, self.notes)
        self.count += 1
        if message.tool_calls:
            self.waiting += [call.id for call in message.tool_calls]
        elif message.role == "tool" and message.tool_call_id in self.waiting:
            self.waiting.remove(message.tool_call_id)
        elif message.role != "tool":
            self.waiting = []
        last = self.messages[-1] if self.messages else None
        if last and self._continues(last, message, is_masked):
            self.messages[-1] = replace(last, tool_calls=(*last.tool_calls, *message.tool_calls))
            return
        self.messages.append(message)
        self.places.append(place)
        self.is_masked.append(is_masked)

    def _continues(self, last: Message, message: Message, is_masked: bool) -> bool:
        """Whether these calls are of the answer before, written as a message of their own."""
        return (
            last.role == "assistant"
            and bool(message.tool_calls)
            and not message.content
            and self.is_masked[-1] == is_masked
        )


def _in_openai_form(place: str, body: object) -> JsonObject:
    """Translate ShareGPT's turns and OpenAI's legacy functions."""
    if not isinstance(body, Mapping):
        raise FormatError(place, "must be an object with role and content")
    result = dict(body)
    if "from" in result and "role" not in result:
        result = _from_sharegpt(place, result)
    elif isinstance(result.get("role"), str):
        role = str(result["role"]).strip().lower()
        result["role"] = OTHER_ROLES.get(role, role)
        if "value" in result and result.get("content") is None:
            result["content"] = result.pop("value")
    call = result.pop("function_call", None)
    if call is not None:
        if result.get("tool_calls"):
            raise FormatError(f"{place}.function_call", "stands beside tool_calls; keep one")
        result["tool_calls"] = [{"function": call}]
    return result


def _from_sharegpt(place: str, turn: JsonObject) -> JsonObject:
    role, value = turn.pop("from"), turn.pop("value", None)
    if not isinstance(role, str) or role not in SHAREGPT_ROLES:
        raise FormatError(f"{place}.from", f"must be one of {', '.join(SHAREGPT_ROLES)}")
    if role == "function_call":
        calls = json_of(f"{place}.value", value) if isinstance(value, str) else value
        listed = calls if isinstance(calls, list) else [calls]
        return {**turn, "role": "assistant", "tool_calls": [{"function": call} for call in listed]}
    return {**turn, "role": SHAREGPT_ROLES[role], "content": value}


def _note_fields(place: str, body: Body, notes: Notes) -> None:
    for name, value in body.items():
        thinks = name in REASONING and body.get("role") == "assistant"
        if name in KNOWN or value is None or thinks:
            continue
        if name in MEDIA and value:
            raise FormatError(f"{place}.{name}", MEDIA_PROBLEM)
        notes.add(f"{place}.{name}", UNUSED)


def _message(place: str, body: Body, at: int, notes: Notes) -> Message:
    calls = body.get("tool_calls") or ()
    if not isinstance(calls, (list, tuple)):
        raise FormatError(f"{place}.tool_calls", "must be a list")
    role = body.get("role", "")
    if not isinstance(role, str):
        raise FormatError(f"{place}.role", "must be text")
    content = _content(f"{place}.content", body.get("content"), role, has_calls=bool(calls))
    if role == "assistant" and not content.strip() and not calls:
        raise FormatError(f"{place}.content", "is empty: there is nothing to learn from it")
    if role != "tool":
        notes.text(f"{place}.content", content)
    call_id, name = body.get("tool_call_id"), body.get("name")
    if call_id is not None and not isinstance(call_id, str):
        raise FormatError(f"{place}.tool_call_id", "must be text")
    if name is not None and not isinstance(name, str):
        raise FormatError(f"{place}.name", "must be text")
    try:
        return Message(
            role=cast(Role, role),
            content=content,
            tool_calls=tuple(
                _call(f"{place}.tool_calls[{i}]", call, f"{at:05}c{i:03}", notes)
                for i, call in enumerate(calls)
            ),
            tool_call_id=call_id,
            name=name if role != "tool" else None,
            reasoning=_reasoning(place, body, notes) if role == "assistant" else "",
        )
    except InvalidRequest as error:
        raise FormatError(
            f"{place}.{error.field.removeprefix('messages.')}", error.problem
        ) from None
    except RecursionError:
        raise FormatError(
            f"{place}.tool_calls", "has arguments that are nested too deeply"
        ) from None


def _reasoning(place: str, body: Body, notes: Notes) -> str:
    """Return what comes before the answer; the first field that has it counts."""
    given = [(name, body[name]) for name in REASONING if body.get(name)]
    if not given:
        return ""
    name, value = given[0]
    if not isinstance(value, str):
        raise FormatError(f"{place}.{name}", "must be text")
    for other, text in given[1:]:
        if text != value:
            notes.add(f"{place}.{other}", UNUSED)
    notes.add(f"{place}.{name}", REASONING_NOTE)
    return value


def _content(place: str, value: object, role: str, *, has_calls: bool) -> str:
    """Return text; parts of text are joined, and a result that is no text is written as JSON."""
    value = text_of(value) if role != "tool" else value
    if isinstance(value, str):
        return value
    if value is None and has_calls:
        return ""
    if isinstance(value, list) and value and all(_is_part(part) for part in value):
        for at, part in enumerate(value):
            if part["type"] != "text":
                raise FormatError(
                    f"{place}[{at}]", f"{part['type']} is not trained here, only text"
                )
        return "".join(str(part.get("text", "")) for part in value)
    if role == "tool" and value is not None:
        return json.dumps(value, ensure_ascii=False)
    raise FormatError(place, "must be text")


def _is_part(part: object) -> bool:
    """Whether it is a part of one of OpenAI's content lists."""
    return isinstance(part, Mapping) and isinstance(part.get("type"), str)


def _call(place: str, body: object, spare_id: str, notes: Notes) -> ToolCall:
    call = body if isinstance(body, Mapping) else {}
    if "function" not in call and "name" in call:  # flat, as some exporters write it
        call = {
            "id": call.get("id"),
            "function": {name: call[name] for name in call if name != "id"},
        }
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise FormatError(f"{place}.function", "must have a name and arguments")
    notes.unused(call, ("id", "type", "function", "index"), f"{place}.")
    notes.unused(function, ("name", "arguments"), f"{place}.function.")
    arguments = function.get("arguments")
    if arguments is None:
        arguments = {}
    if isinstance(arguments, str):
        text = arguments or "{}"
    else:
        text = json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, Mapping) and None in arguments.values():
            notes.add(f"{place}.function.arguments", "has nulls, which are learned")
    return ToolCall(str(call.get("id") or spare_id), function["name"], text)


def _is_masked(place: str, body: Body, notes: Notes) -> bool:
    """Whether a weight of 0 or a flag keeps an answer from being learned."""
    flags: list[bool] = []
    for name in FLAGS:
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, (bool, int, float)) or value not in (0, 1):
            allowed = "0 or 1" if name == "weight" else "true or false"
            raise FormatError(f"{place}.{name}", f"must be {allowed}")
        if value and body.get("role") != "assistant":
            notes.add(f"{place}.{name}", "is not used: only the assistant's messages are learned")
        flags.append(bool(value))
    return body.get("role") == "assistant" and bool(flags) and not all(flags)


def check_order(built: Built) -> None:
    """Raise `FormatError` naming a message that cannot stand where it does."""
    open_calls: set[str] = set()
    called_at = ""
    asked = False
    previous = ""
    for at, (message, place) in enumerate(zip(built.messages, built.places, strict=True)):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise FormatError(f"{place}.tool_call_id", "no call before it has this id")
            open_calls.discard(message.tool_call_id or "")
        elif open_calls:
            missing = f"{len(open_calls)} without a result before {place}"
            raise FormatError(
                f"{called_at}.tool_calls", f"has calls that are not answered: {missing}"
            )
        if message.role == "assistant" and at not in built.masked:
            if previous == "assistant":
                raise FormatError(
                    place, "two answers in a row; join them, or give this one weight 0"
                )
            if not asked:
                raise FormatError(
                    place, "the first answer has no question; add it, or give the answer weight 0"
                )
        if message.tool_calls:
            open_calls, called_at = {call.id for call in message.tool_calls}, place
        if message.role != "system":
            previous = message.role
        asked = asked or message.role in ("user", "tool")
