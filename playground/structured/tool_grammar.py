"""The grammar of an answer with tools: its calls' arguments always fit their functions' schemas.

How calls are written depends on the model family (`playground.models.call_formats`). Knows no
engine and no HTTP.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from playground.errors import InvalidRequest
from playground.models.call_formats import CALL_FORMATS, CallFormat, CallFormatName
from playground.protocol import Tool, ToolChoice
from playground.structured.formats import CompiledFormat
from playground.structured.schema import MAX_SCHEMA_CHARACTERS, CompiledSchema, compile_schema

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_TOOLS = 128
NO_ARGUMENTS: Mapping[str, object] = {
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class AnswerFrame:
    """What stands around an answer. ``text_prefix`` is before a text that follows a control token;
    ``thinks``: a thinking block may come first.
    """

    text_prefix: str = ""
    thinks: bool = False

    @property
    def prefix(self) -> str:
        """The prefix as a term of a grammar, with a space behind it; empty for none."""
        return f"{json.dumps(self.text_prefix)} " if self.text_prefix else ""

    @property
    def thought(self) -> str:
        """The term of an optional thinking block, with a space behind it; empty for none."""
        return "thought? " if self.thinks else ""

    def rules(self, rules: Sequence[str]) -> str:
        """Return the grammar of these rules and of those that the frame needs."""
        own = ["thought: <THINK> THOUGHT </THINK>", r"THOUGHT: /(.|\n)*/"] if self.thinks else []
        return "\n".join([*rules, *own])


BARE = AnswerFrame()


@dataclass(frozen=True, slots=True)
class CallableTool:
    """A tool that may be called, with its arguments' schema."""

    name: str
    arguments: CompiledSchema


def tool_grammar(
    tools: Sequence[CallableTool],
    choice: ToolChoice,
    answer: CompiledFormat | None = None,
    format_name: CallFormatName = "mistral",
    frame: AnswerFrame = BARE,
) -> str:
    """The grammar of an answer with these tools, in llguidance's Lark; empty if anything goes.

    With ``answer``, an answer that is no call has that format. Raises `InvalidRequest`
    where the model's calls cannot be told from such an answer.
    """
    if choice.mode == "none" or not tools:
        return _format_grammar(answer, frame) if answer else ""
    call_format = CALL_FORMATS[format_name]
    marked = call_format.control or call_format.call_terms
    if answer and choice.mode == "auto" and not (marked or call_format.text_before_calls):
        raise InvalidRequest("response_format", "this model's calls cannot be told from JSON")
    rules = [f"start: {frame.thought}({_start(choice, answer, call_format)})"]
    text = f"answer: {frame.prefix}{answer.rule}" if answer and answer.rule else ""
    rules.append(text or f"TEXT: {call_format.text_pattern}")
    several = choice.parallel and call_format.separator is not None
    separator = json.dumps(call_format.separator) if call_format.separator else ""
    more = f"({separator} call)*" if several else ""
    before = json.dumps(frame.text_prefix + call_format.prefix) if call_format.prefix else ""
    after = json.dumps(call_format.suffix) if call_format.suffix else ""
    rules.append(f"calls: {call_format.control} {before} call {more} {after}")
    rules.append("call: " + " | ".join(f"call_{n}" for n in range(len(tools))))
    closing = json.dumps(call_format.call_suffix) if call_format.call_suffix else ""
    for n, tool in enumerate(tools):
        rules.append(f"call_{n}: {call_format.opening(tool.name)} arguments_{n} {closing}")
        rules.append(f"arguments_{n}: {tool.arguments.rule}")
    return frame.rules(rules)


def _format_grammar(answer: CompiledFormat, frame: AnswerFrame) -> str:
    """The grammar of an answer without tools. One that a client wrote stays as it is."""
    if not answer.rule or not (frame.prefix or frame.thinks):
        return answer.grammar
    return frame.rules([f"start: {frame.thought}{frame.prefix}answer", f"answer: {answer.rule}"])


def compile_tools(tools: Sequence[Tool], choice: ToolChoice) -> tuple[CallableTool, ...]:
    """Compile the tools that may be called; all tools are checked.

    Raises `InvalidRequest` with the tool and the reason: a strict tool is one whose arguments the
    grammar guarantees.
    """
    if len(tools) > MAX_TOOLS:
        raise InvalidRequest("tools", f"{len(tools)} functions; {MAX_TOOLS} at most")
    _check_names([tool.name for tool in tools], choice)
    if choice.mode == "required" and not tools:
        raise InvalidRequest("tool_choice", "requires a call, and there are no tools")
    compiled = []
    characters = 0
    for n, tool in enumerate(tools):
        field = f"tools[{n}].function.parameters"
        arguments = compile_schema(_arguments(tool, field), field, strict=tool.strict)
        characters += arguments.characters
        if characters > MAX_SCHEMA_CHARACTERS:
            problem = f"their schemas have more than {MAX_SCHEMA_CHARACTERS:,} characters together"
            raise InvalidRequest("tools", problem)
        if not choice.names or tool.name in choice.names:
            compiled.append(CallableTool(tool.name, arguments))
    return tuple(compiled)


def check_tools(tools: Sequence[Tool]) -> None:
    """Raises `InvalidRequest` with the tool and the reason where `compile_tools` would."""
    compile_tools(tools, ToolChoice())


def _start(choice: ToolChoice, answer: CompiledFormat | None, call_format: CallFormat) -> str:
    if choice.mode == "required":
        return "calls"
    text = "answer" if answer else "TEXT"
    mixed = " | TEXT calls" if not answer and call_format.text_before_calls else ""
    return f"{text} | calls{mixed}"


def _check_names(names: Sequence[str], choice: ToolChoice) -> None:
    for n, name in enumerate(names):
        if not FUNCTION_NAME.fullmatch(name):
            raise InvalidRequest(
                f"tools[{n}].function.name", f"{name!r} does not match {FUNCTION_NAME.pattern}"
            )
        if name in names[:n]:
            raise InvalidRequest(f"tools[{n}].function.name", f"{name!r} is defined twice")
    for name in choice.names:
        if name not in names:
            raise InvalidRequest(
                "tool_choice", f"{name!r} is none of the tools: {', '.join(names)}"
            )


def _arguments(tool: Tool, field: str) -> dict[str, object]:
    """The schema of a function's arguments, which are always an object."""
    schema = dict(tool.parameters or NO_ARGUMENTS)
    kinds = schema.get("type", "object")
    if kinds != "object" and "object" not in (kinds if isinstance(kinds, list) else ()):
        problem = f"the schema is wrong at /type: {kinds!r} is not 'object', which arguments are"
        raise InvalidRequest(field, problem)
    bare = set(schema) <= {"type", "properties", "required"}
    if bare and schema.get("properties", {}) == {} and schema.get("required", []) == []:
        schema |= NO_ARGUMENTS
    return schema | {"type": "object"}
