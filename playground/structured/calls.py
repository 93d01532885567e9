"""Function calling: from tools to a grammar, and from what the model writes to calls.

How calls are written depends on the model's family; `WIRE` has the forms. A call's arguments always
fit its function's schema, by grammar. Knows no engine and no HTTP.
"""

import hashlib
import json
import re
import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from playground.errors import InvalidRequest
from playground.protocol import CallDelta, CallForm, Request, Tool, ToolCall
from playground.structured.schema import Compiled, compile_schema

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ID_CHARACTERS = string.ascii_letters + string.digits
CALL_OPENING = re.compile(r'\{"name": ("(?:[^"\\]|\\.)*"), "(?:arguments|parameters)": $')
ID_LENGTH = 9
"""What V7 asks of a call's id (mistral_common/protocol/instruct/validator.py)."""
MOST_TOOLS = 128
NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Wire:
    """How a family writes calls: around all of them, around each, and between two. ``marker`` is
    the text with which they begin where that is no control token; ``between`` is None where there
    can be only one call. ``text`` is the regular expression of an answer without calls, and
    ``mixed`` says whether text may stand before them.
    """

    opening: str
    name: str
    closing: str
    each: tuple[str, str]
    between: str | None
    text: str = r"/(.|\n)*/"
    marker: str = ""
    mixed: bool = True


WIRE: Mapping[CallForm, Wire] = {
    # Mistral's V3 to V7 templates: a control token, then a JSON array.
    "mistral": Wire('<TOOL_CALLS> "["', "arguments", '"]"', ('{"name": ', "}"), ", "),
    # Hermes 2 Pro (github.com/NousResearch/Hermes-Function-Calling) and Qwen 2.5 and 3.
    "hermes": Wire(
        "",
        "arguments",
        "",
        ('<tool_call>\n{"name": ', "}\n</tool_call>"),
        "\n",
        r"/(.|\n)*/ & ~/(.|\n)*<tool_call>(.|\n)*/",
        marker="<tool_call>",
    ),
    # Llama 3.1 and later (llama.com/docs, "JSON based tool calling"): the object is the answer.
    "llama3": Wire(
        "",
        "parameters",
        "",
        ('{"name": ', "}"),
        None,
        r"/([^{\s](.|\n)*)?/",
        marker="{",
        mixed=False,
    ),
}


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """``auto``: the model decides. ``none``: no call. ``required``: at least one. ``allowed`` are
    the names it may call; empty means all of them.
    """

    mode: Literal["auto", "none", "required"] = "auto"
    allowed: tuple[str, ...] = ()
    parallel: bool = True


def calls_grammar(
    tools: Sequence[Tool],
    choice: ToolChoice,
    answer: Compiled | None = None,
    form: CallForm = "mistral",
) -> str | None:
    """The grammar of an answer with these tools; None if anything goes.

    With ``answer`` whatever is no call is a value of that schema. Raises `InvalidRequest` naming
    the tool and the fault.
    """
    chosen = _chosen(tools, choice)
    if choice.mode == "none" or not chosen:
        return answer.grammar if answer else None
    wire = WIRE[form]
    if answer and choice.mode == "auto" and not wire.mixed:
        raise InvalidRequest("response_format", "this model's calls cannot be told from JSON")
    text = "answer" if answer else "TEXT"
    start = "calls" if choice.mode == "required" else f"{text} | calls"
    if choice.mode == "auto" and not answer and wire.mixed:
        start += " | TEXT calls"
    rules = [f"start: {start}"]
    rules.append(f"answer: {answer.rule}" if answer else f"TEXT: {wire.text}")
    many = choice.parallel and wire.between is not None
    more = f" ({json.dumps(wire.between)} call)*" if many else ""
    rules.append(f"calls: {wire.opening} call{more} {wire.closing}")
    rules.append("call: " + " | ".join(f"call_{at}" for at in range(len(chosen))))
    before, after = wire.each
    for at, (tool, arguments) in enumerate(chosen):
        opening = f'{before}{json.dumps(tool.name)}, "{wire.name}": '
        rules.append(f"call_{at}: {json.dumps(opening)} arguments_{at} {json.dumps(after)}")
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


def new_call_id(seed: str = "") -> str:
    """An id in Mistral's form; with a seed always the same one."""
    if not seed:
        return "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    digits = (number // len(ID_CHARACTERS) ** at for at in range(ID_LENGTH))
    return "".join(ID_CHARACTERS[digit % len(ID_CHARACTERS)] for digit in digits)


def id_seed(request: Request) -> str:
    """What a request's call ids follow from where its answer is to be the same each time: ids stand
    in the next prompt, and another id there may bring another answer. Empty for free sampling."""
    if request.sampling.temperature > 0 and request.sampling.seed is None:
        return ""
    said = [message.to_openai() for message in request.messages]
    return json.dumps([said, request.prompt, request.sampling.seed], ensure_ascii=False)


@dataclass(slots=True)
class CallFinder:
    """Parts the text of an answer from the calls after it, where a marker and no control token
    begins them. What may be the beginning of the marker is held back.
    """

    wire: Wire
    _held: str = ""
    _found: Literal["nothing", "text", "calls"] = "nothing"

    def push(self, text: str) -> tuple[str, str]:
        """The text for people, and what belongs to calls."""
        if self._found == "calls":
            return "", text
        if self._found == "text" and not self.wire.mixed:
            return text, ""
        self._held += text
        place = self._held.find(self.wire.marker)
        if place >= 0 and (self.wire.mixed or place == 0):
            self._found = "calls"
            shown, calls = self._held[:place].removesuffix("\n"), self._held[place:]
            self._held = ""
            return shown, calls
        self._found = "text" if self._held else "nothing"
        kept = self._kept() if self.wire.mixed else 0
        shown, self._held = self._held[: len(self._held) - kept], self._held[-kept:] * bool(kept)
        return shown, ""

    def flush(self) -> str:
        """What was held back and is text after all."""
        held, self._held = self._held, ""
        return held

    def _kept(self) -> int:
        """Characters at the end that may begin the marker, or the line break before it."""
        awaited = "\n" + self.wire.marker
        lengths = range(min(len(awaited), len(self._held)), 0, -1)
        begins = (n for n in lengths if self._held[-n:] in (awaited[:n], self.wire.marker[:n]))
        return next(begins, 0)


@dataclass(slots=True)
class CallReader:
    """Reads the calls as they are written, character by character.

    The grammar fixes its form, so that a call's name is known before its arguments begin, and the
    arguments can be handed on as they come. ``seed`` is what the calls' ids follow from.
    """

    seed: str = ""
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
                found = CALL_OPENING.search(self._text)
                if found:
                    seed = self.seed and f"{self.seed}\n{len(self.calls)}"
                    self._name, self._id = json.loads(found[1]), new_call_id(seed)
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
