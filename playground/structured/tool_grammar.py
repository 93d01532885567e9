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
class CallableTool:
    """A tool that may be called, with its arguments' schema."""

    name: str
    arguments: CompiledSchema


def tool_grammar(
    tools: Sequence[CallableTool],
    choice: ToolChoice,
    answer: CompiledFormat | None = None,
    format_name: CallFormatName = "mistral",
) -> str:
    """The grammar of an answer with these tools, in llguidance's Lark; empty if anything goes.

    With ``answer``, an answer that is no call has that format. Raises `InvalidRequest`
    where the model's calls cannot be told from such an answer.
    """
    if choice.mode == "none" or not tools:
        return answer.grammar if answer else ""
    call_format = CALL_FORMATS[format_name]
    if answer and choice.mode == "auto" and not call_format.text_before_calls:
        raise InvalidRequest("response_format", "this model's calls cannot be told from JSON")
    rules = [f"start: {_start(choice, answer, call_format)}"]
    rules.append(f"answer: {answer.rule}" if answer else f"TEXT: {call_format.text_pattern}")
    several = choice.parallel and call_format.separator is not None
    more = f" ({json.dumps(call_format.separator)} call)*" if several else ""
    rules.append(f"calls: {call_format.prefix} call{more} {call_format.suffix}")
    rules.append("call: " + " | ".join(f"call_{n}" for n in range(len(tools))))
    for n, tool in enumerate(tools):
        name = json.dumps(tool.name)
        opening = f'{call_format.call_prefix}{name}, "{call_format.arguments_key}": '
        closing = json.dumps(call_format.call_suffix)
        rules.append(f"call_{n}: {json.dumps(opening)} arguments_{n} {closing}")
        rules.append(f"arguments_{n}: {tool.arguments.rule}")
    return "\n".join(rules)


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
