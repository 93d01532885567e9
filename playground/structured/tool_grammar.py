"""The grammar of an answer with tools: its calls' arguments always fit their functions' schemas.

How calls are written depends on the model family (`playground.models.call_formats`). Knows no
engine and no HTTP.
"""

import json
import re
from collections.abc import Mapping, Sequence

from playground.errors import InvalidRequest
from playground.models.call_formats import CALL_FORMATS, CallFormat, CallFormatName
from playground.protocol import Tool, ToolChoice
from playground.structured.formats import CompiledFormat
from playground.structured.schema import CompiledSchema, compile_schema

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_TOOLS = 128
NO_ARGUMENTS: Mapping[str, object] = {
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}


def tool_grammar(
    tools: Sequence[Tool],
    choice: ToolChoice,
    answer: CompiledFormat | None = None,
    format_name: CallFormatName = "mistral",
) -> str:
    """The grammar of an answer with these tools, in llguidance's Lark; empty if anything goes.

    With ``answer``, an answer that is no call has that format. Raises `InvalidRequest`
    with the tool and the reason.
    """
    callable_tools = _callable_tools(tools, choice)
    if choice.mode == "none" or not callable_tools:
        return answer.grammar if answer else ""
    call_format = CALL_FORMATS[format_name]
    if answer and choice.mode == "auto" and not call_format.text_before_calls:
        raise InvalidRequest("response_format", "this model's calls cannot be told from JSON")
    rules = [f"start: {_start(choice, answer, call_format)}"]
    rules.append(f"answer: {answer.rule}" if answer else f"TEXT: {call_format.text_pattern}")
    several = choice.parallel and call_format.separator is not None
    more = f" ({json.dumps(call_format.separator)} call)*" if several else ""
    rules.append(f"calls: {call_format.prefix} call{more} {call_format.suffix}")
    rules.append("call: " + " | ".join(f"call_{n}" for n in range(len(callable_tools))))
    for n, (tool, arguments) in enumerate(callable_tools):
        name = json.dumps(tool.name)
        opening = f'{call_format.call_prefix}{name}, "{call_format.arguments_key}": '
        closing = json.dumps(call_format.call_suffix)
        rules.append(f"call_{n}: {json.dumps(opening)} arguments_{n} {closing}")
        rules.append(f"arguments_{n}: {arguments.rule}")
    return "\n".join(rules)


def check_tools(tools: Sequence[Tool]) -> None:
    """Raises `InvalidRequest` with the tool and the reason where `tool_grammar` would."""
    _callable_tools(tools, ToolChoice())


def _start(choice: ToolChoice, answer: CompiledFormat | None, call_format: CallFormat) -> str:
    if choice.mode == "required":
        return "calls"
    text = "answer" if answer else "TEXT"
    mixed = " | TEXT calls" if not answer and call_format.text_before_calls else ""
    return f"{text} | calls{mixed}"


def _callable_tools(tools: Sequence[Tool], choice: ToolChoice) -> list[tuple[Tool, CompiledSchema]]:
    """The tools that may be called, with their arguments' schemas; all tools are checked."""
    if len(tools) > MAX_TOOLS:
        raise InvalidRequest("tools", f"{len(tools)} functions; {MAX_TOOLS} at most")
    names = [tool.name for tool in tools]
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
    if choice.mode == "required" and not tools:
        raise InvalidRequest("tool_choice", "requires a call, and there are no tools")
    compiled = []
    for n, tool in enumerate(tools):
        arguments = compile_schema(_arguments(tool), f"tools[{n}].function.parameters")
        if not choice.names or tool.name in choice.names:
            compiled.append((tool, arguments))
    return compiled


def _arguments(tool: Tool) -> dict[str, object]:
    """The schema of a function's arguments, which are always an object."""
    schema = dict(tool.parameters or NO_ARGUMENTS)
    if not schema.get("properties") and set(schema) <= {"type", "properties", "required"}:
        return dict(NO_ARGUMENTS)
    return schema | {"type": "object"}
