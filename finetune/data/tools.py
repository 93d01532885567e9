"""Builds the tools of a row: lists, JSON text, OpenAI's legacy ``functions``."""

from collections.abc import Mapping

from finetune.data.fields import Body, FormatError, Notes, json_of, without_nulls
from finetune.data.training_row import JsonObject
from playground.errors import InvalidRequest
from playground.protocol import Tool

FUNCTION_FIELDS = ("type", "name", "description", "parameters", "strict")
NULL_KEYWORDS = ("default", "const")
"""Keywords of JSON Schema whose value may be null."""


def build_tools(record: Body, notes: Notes) -> tuple[Tool, ...]:
    """Return the tools of a record. Raises `FormatError`."""
    place = "functions" if record.get("tools") in (None, [], "") else "tools"
    body = record.get(place)
    if isinstance(body, str):
        body = json_of(place, body)
    if body is None:
        return ()
    if not isinstance(body, list):
        raise FormatError(place, "must be a list")
    if record.get("functions") and place == "tools":
        notes.add("functions", "is not used beside tools")
    return tuple(_tool(f"{place}[{at}]", tool, notes) for at, tool in enumerate(body))


def _tool(place: str, tool: object, notes: Notes) -> Tool:
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise FormatError(f"{place}.function", "must have a name")
    if isinstance(tool, Mapping) and function is not tool:
        notes.unused(tool, ("type", "function"), f"{place}.")
    known = (
        "name",
        "description",
        "parameters",
        "strict",
        *(("type",) if function is tool else ()),
    )
    notes.unused(function, known, f"{place}.function.")
    parameters = _parameters(f"{place}.function.parameters", function.get("parameters"))
    try:
        return Tool(function["name"], str(function.get("description") or ""), parameters)
    except InvalidRequest as error:
        raise FormatError(f"{place}.function", error.problem) from None


def _parameters(place: str, value: object) -> JsonObject | None:
    """Return a JSON schema, without the nulls that Arrow puts into it."""
    if isinstance(value, str):
        value = json_of(place, value)
    if value is None:
        return None
    schema = without_nulls(value, NULL_KEYWORDS)
    if not isinstance(schema, dict):
        raise FormatError(place, "must be a JSON schema")
    return schema
