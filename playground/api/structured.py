"""Tools and response formats of a body in our terms: OpenAI's fields, older and newer."""

from playground.api.schemas import (
    AllowedChoice,
    ChatBody,
    FunctionBody,
    NamedFunction,
    NamedTool,
    ResponseFormatBody,
)
from playground.errors import InvalidRequest
from playground.protocol import ANY_OBJECT, ResponseFormat, Tool, ToolChoice


def tools_of(body: ChatBody) -> tuple[Tool, ...]:
    """The functions that the model may call. Raises `InvalidRequest`."""
    if body.tools and body.functions:
        raise InvalidRequest("functions", "give them or tools, not both")
    functions = [tool.function for tool in body.tools or ()] or (body.functions or [])
    return tuple(_tool(function) for function in functions)


def tool_choice_of(body: ChatBody) -> ToolChoice:
    """Which functions may or must be called."""
    if body.functions:
        wanted = body.function_call or "auto"
        if isinstance(wanted, NamedFunction):
            return ToolChoice("required", (wanted.name,), parallel=False)
        return ToolChoice(wanted, parallel=False)
    parallel = body.parallel_tool_calls is not False
    choice = body.tool_choice or "auto"
    if isinstance(choice, NamedTool):
        return ToolChoice("required", (choice.function.name,), parallel=False)
    if isinstance(choice, AllowedChoice):
        names = tuple(tool.function.name for tool in choice.allowed_tools.tools)
        return ToolChoice(choice.allowed_tools.mode, names, parallel)
    return ToolChoice(choice, parallel=parallel)


def response_format_of(body: ResponseFormatBody | None) -> ResponseFormat | None:
    """The schema that the answer is to meet; None for plain text."""
    if body is None or body.type == "text":
        return None
    if body.json_schema is not None and body.type == "json_schema":
        return ResponseFormat(body.json_schema.schema_, bool(body.json_schema.strict))
    return ANY_OBJECT if body.schema_ is None else ResponseFormat(body.schema_)


def _tool(body: FunctionBody) -> Tool:
    return Tool(body.name, body.description or "", body.parameters, bool(body.strict))
