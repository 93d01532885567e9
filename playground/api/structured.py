"""Tools and response formats of a body in our terms: OpenAI's fields, older and newer."""

from collections.abc import Mapping
from typing import Any

from playground.api.schemas import (
    AllowedChoice,
    ChatBody,
    FunctionBody,
    NamedFunction,
    NamedTool,
    ResponseFormatBody,
)
from playground.backends.chat import structured
from playground.errors import InvalidRequest
from playground.protocol import ModelInfo, Request, Tool
from playground.structured.calls import ToolChoice
from playground.structured.schema import ANY_OBJECT


def tools_of(body: ChatBody) -> tuple[Tool, ...]:
    """The functions that the model may call. Raises `InvalidRequest`."""
    if body.tools and body.functions:
        raise InvalidRequest("functions", "give them or tools, not both")
    functions = [each.function for each in body.tools or ()] or (body.functions or [])
    return tuple(_tool(each) for each in functions)


def with_structure(request: Request, body: ChatBody, info: ModelInfo) -> Request:
    """The request with what its answer must look like. Raises `InvalidRequest`."""
    schema, strict = _schema(body.response_format)
    return structured(request, schema=schema, strict=strict, choice=_choice(body), info=info)


def _tool(body: FunctionBody) -> Tool:
    return Tool(body.name, body.description or "", body.parameters, bool(body.strict))


def _choice(body: ChatBody) -> ToolChoice:
    if body.functions:
        wanted = body.function_call or "auto"
        if isinstance(wanted, NamedFunction):
            return ToolChoice("required", (wanted.name,), parallel=False)
        return ToolChoice(wanted, parallel=False)
    parallel = body.parallel_tool_calls is not False
    wanted_tool = body.tool_choice or "auto"
    if isinstance(wanted_tool, NamedTool):
        return ToolChoice("required", (wanted_tool.function.name,), parallel=False)
    if isinstance(wanted_tool, AllowedChoice):
        names = tuple(tool.function.name for tool in wanted_tool.allowed_tools.tools)
        return ToolChoice(wanted_tool.allowed_tools.mode, names, parallel)
    return ToolChoice(wanted_tool, parallel=parallel)


def _schema(body: ResponseFormatBody | None) -> tuple[Mapping[str, Any] | None, bool]:
    """The schema of the answer, and whether an answer that breaks it is an error."""
    if body is None or body.type == "text":
        return None, False
    if body.type == "json_object":
        return (ANY_OBJECT if body.schema_ is None else body.schema_), False
    if body.json_schema is None:
        return body.schema_ or ANY_OBJECT, False
    return body.json_schema.schema_, bool(body.json_schema.strict)
