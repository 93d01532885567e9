"""Function calling: from tools to a grammar, and from what the model writes to calls.

The wire form is that of Mistral's V3 to V7 templates: the control token ``[TOOL_CALLS]``, then a
JSON array of ``{"name": …, "arguments": {…}}``. A call's arguments always fit its function's
schema, by grammar. Knows no engine and no HTTP.
"""

import json
import re
import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from playground.errors import InvalidRequest
from playground.modes.structure import Compiled, compile_schema
from playground.protocol import CallDelta, Tool, ToolCall

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ID_CHARACTERS = string.ascii_letters + string.digits
ID_LENGTH = 9
"""What V7 asks of a call's id (mistral_common/protocol/instruct/validator.py)."""
MOST_TOOLS = 128
NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """``auto``: the model decides. ``none``: no call. ``required``: at least one. ``allowed`` are
    the names it may call; empty means all of them.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    allowed: tuple[str, ...] = ()
    parallel: bool = True


def calls_grammar(
    tools: Sequence[Tool], choice: ToolChoice, answer: Compiled | None = None
) -> str | None:
    """The grammar of an answer with these tools; None if anything goes.

    With ``answer`` whatever is no call is a value of that schema. Raises `InvalidRequest` naming
    the tool and the fault.
    """
    chosen = _chosen(tools, choice)
    if choice.mode == "none" or not chosen:
        return answer.grammar if answer else None
    text = "answer" if answer else "TEXT"
    start = "calls" if choice.mode == "required" else f"{text} | calls"
    if choice.mode == "auto" and not answer:
        start += " | TEXT calls"
    rules = [f"start: {start}"]
    rules.append(f"answer: {answer.rule}" if answer else r"TEXT: /(.|\n)*/")
    more = ' (", " call)*' if choice.parallel else ""
    rules.append(f'calls: <TOOL_CALLS> "[" call{more} "]"')
    rules.append("call: " + " | ".join(f"call_{at}" for at in range(len(chosen))))
    for at, (tool, arguments) in enumerate(chosen):
        opening = '{"name": ' + json.dumps(tool.name) + ', "arguments": '
        rules.append(f'call_{at}: {json.dumps(opening)} arguments_{at} "}}"')
        rules.append(f"arguments_{at}: {arguments.rule}")
    return "\n".join(rules)


def _chosen(tools: Sequence[Tool], choice: ToolChoice) -> list[tuple[Tool, Compiled]]:
    if len(tools) > MOST_TOOLS:
        raise InvalidRequest("tools", f"{len(tools)} functions; {MOST_TOOLS} at most")
    names = [tool.name for tool in tools]
    for at, name in enumerate(names):
        if not FUNCTION_NAME.fullmatch(name):
            raise InvalidRequest(
                f"tools[{at}].function.name", f"{name!r} is not {FUNCTION_NAME.pattern}"
            )
        if name in names[:at]:
            raise InvalidRequest(f"tools[{at}].function.name", f"{name!r} is there twice")
    for name in choice.allowed:
        if name not in names:
            raise InvalidRequest(
                "tool_choice", f"{name!r} is none of the tools: {', '.join(names)}"
            )
    if choice.mode == "required" and not tools:
        raise InvalidRequest("tool_choice", "asks for a call, and there are no tools")
    compiled = []
    for at, tool in enumerate(tools):
        arguments = compile_schema(_arguments(tool), f"tools[{at}].function.parameters")
        if not choice.allowed or tool.name in choice.allowed:
            compiled.append((tool, arguments))
    return compiled


def _arguments(tool: Tool) -> dict[str, Any]:
    """The schema of a function's arguments, which are always an object."""
    schema = dict(tool.parameters or NOTHING)
    if not schema.get("properties") and set(schema) <= {"type", "properties", "required"}:
        return dict(NOTHING)
    return schema | {"type": "object"}


def new_call_id() -> str:
    """A fresh id in V7's form."""
    return "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))


@dataclass(slots=True)
class CallReader:
    """Reads the array of calls as it is written, character by character.

    The grammar fixes its form, so that a call's name is known before its arguments begin, and the
    arguments can be handed on as they come.
    """

    calls: list[ToolCall] = field(default_factory=list)
    _text: str = ""
    _arguments: str | None = None
    _id: str = ""
    _name: str = ""
    _depth: int = 0
    _quoted: bool = False
    _escaped: bool = False

    def push(self, text: str) -> tuple[CallDelta, ...]:
        """What this piece of text adds."""
        return tuple(_joined(self._deltas(text)))

    def _deltas(self, text: str) -> Iterator[CallDelta]:
        for character in text:
            if self._arguments is None:
                self._text += character
                found = re.search(r'\{"name": ("(?:[^"\\]|\\.)*"), "arguments": $', self._text)
                if found:
                    self._name, self._id = json.loads(found[1]), new_call_id()
                    self._arguments, self._depth, self._text = "", 0, ""
                    yield CallDelta(len(self.calls), self._id, self._name)
                continue
            self._arguments += character
            yield CallDelta(len(self.calls), arguments=character)
            self._follow(character)
            if self._depth == 0 and not self._quoted:
                self.calls.append(ToolCall(self._id, self._name, self._arguments))
                self._arguments = None

    def _follow(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._quoted:
            self._escaped = character == "\\"
            self._quoted = character != '"'
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1


def _joined(deltas: Iterator[CallDelta]) -> Iterator[CallDelta]:
    """Neighbouring pieces of the same arguments as one."""
    held: CallDelta | None = None
    for delta in deltas:
        if held and not delta.name and delta.index == held.index:
            held = CallDelta(held.index, held.id, held.name, held.arguments + delta.arguments)
        else:
            if held:
                yield held
            held = delta
    if held:
        yield held
