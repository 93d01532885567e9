"""What people have at hand, as tools and schemas: OpenAI's tool JSON, an OpenAPI operation, a bare
JSON schema, a Python signature, an example value. Knows no page.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from playground.errors import InvalidRequest
from playground.protocol import Tool
from playground.tools.importers.python_source import FIELD, schema_of_models, tool_of_signature

NAME = re.compile(r"[^A-Za-z0-9_-]+")
PYTHON = object()
PLACES = ("query", "path", "header", "cookie")
METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})


def tools_of_text(text: str) -> tuple[Tool, ...]:
    """Whatever the text holds, as tools: one or a list of OpenAI's tools (or bare functions),
    an OpenAPI document or operation, a JSON schema with a title, or a Python signature.

    Raises `InvalidRequest` saying what is wrong or what was expected.
    """
    value = _json_or_python(text)
    if value is PYTHON:
        return (tool_of_signature(text),)
    if isinstance(value, list):
        return tuple(tool for each in value for tool in _tools(each))
    return tuple(_tools(value))


def schema_of_text(text: str) -> dict[str, Any]:
    """A JSON schema from an example value (JSON) or from pydantic models (Python).

    Raises `InvalidRequest` saying what is wrong.
    """
    value = _json_or_python(text)
    return schema_of_models(text) if value is PYTHON else schema_of_example(value)


def _json_or_python(text: str) -> Any:
    """The JSON value that the text is; `PYTHON` for what does not look like JSON."""
    if not text.strip():
        raise InvalidRequest(FIELD, "there is nothing to read")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise InvalidRequest(FIELD, "nested too deep") from error
    except ValueError as error:
        if text.lstrip()[0] in "{[":
            raise InvalidRequest(FIELD, f"not JSON: {error}") from error
        return PYTHON
    return value


def schema_of_example(value: Any) -> dict[str, Any]:
    """A schema that values like this one fit. Objects list all their fields as required; the items
    of a list share one schema, in which only what all of them have is required.
    """
    if isinstance(value, dict):
        properties = {key: schema_of_example(child) for key, child in value.items()}
        return {"type": "object", "properties": properties, "required": list(value)}
    if isinstance(value, list):
        merged: dict[str, Any] = {}
        for schema in map(schema_of_example, value):
            merged = _merged(merged, schema) if merged else schema
        return {"type": "array", "items": merged} if merged else {"type": "array"}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return {"type": kinds[type(value)]}


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A schema for what fits either."""
    if one == other:
        return one
    if one.get("type") == other.get("type") == "object":
        both = {**one["properties"]}
        for key, schema in other["properties"].items():
            both[key] = _merged(both[key], schema) if key in both else schema
        required = [key for key in one["required"] if key in other["required"]]
        return {"type": "object", "properties": both, "required": required}
    if one.get("type") == other.get("type") == "array":
        items = [each["items"] for each in (one, other) if "items" in each]
        if len(items) == 2:
            return {"type": "array", "items": _merged(*items)}
        return {"type": "array", "items": items[0]} if items else {"type": "array"}
    kinds = {one.get("type"), other.get("type")} if "anyOf" not in {*one, *other} else set()
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    parts = [part for each in (one, other) for part in each.get("anyOf", [each])]
    return {"anyOf": [part for at, part in enumerate(parts) if part not in parts[:at]]}


def _tools(value: Any) -> list[Tool]:
    if not isinstance(value, dict):
        raise InvalidRequest(FIELD, "a tool is a JSON object")
    if isinstance(value.get("function"), dict):
        return _tools(value["function"])
    if isinstance(value.get("paths"), dict):
        return _openapi(value)
    if "name" in value:
        parameters = value.get("parameters", value.get("input_schema", value.get("inputSchema")))
        return [_tool(value["name"], value.get("description"), parameters)]
    if "operationId" in value or "requestBody" in value or "responses" in value:
        return [_operation(value, value, value.get("operationId"))]
    if "title" in value:
        name = NAME.sub("_", str(value["title"])).strip("_").lower()
        schema = {key: child for key, child in value.items() if key not in ("title", "$schema")}
        return [_tool(name, value.get("description"), schema)]
    raise InvalidRequest(
        FIELD,
        "expected a tool with a name, an OpenAPI operation with an operationId, a JSON schema with "
        "a title, or a Python signature",
    )


def _openapi(document: Mapping[str, Any]) -> list[Tool]:
    """Every operation of an OpenAPI 3 document (https://spec.openapis.org/oas/v3.1.0)."""
    tools = []
    for path, item in document["paths"].items():
        shared = item.get("parameters", []) if isinstance(item, dict) else []
        for method, operation in item.items() if isinstance(item, dict) else ():
            if method in METHODS and isinstance(operation, dict):
                name = operation.get("operationId") or f"{method}_{path}"
                merged = {**operation, "parameters": [*shared, *operation.get("parameters", [])]}
                tools.append(_operation(merged, document, name))
    if not tools:
        raise InvalidRequest(FIELD, "the OpenAPI document has no operation")
    return tools


def _operation(operation: Mapping[str, Any], document: Mapping[str, Any], name: Any) -> Tool:
    """Parameters by their names, and the fields of a JSON body beside them."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for given in operation.get("parameters") or ():
        parameter = _resolved(given, document)
        if not isinstance(parameter, dict) or parameter.get("in", "query") not in PLACES:
            raise InvalidRequest(FIELD, f"{name}: a parameter is not understood")
        schema = dict(_resolved(parameter.get("schema") or {}, document))
        if parameter.get("description"):
            schema["description"] = parameter["description"]
        properties[str(parameter.get("name"))] = schema
        if parameter.get("required"):
            required.append(str(parameter.get("name")))
    body = _resolved(operation.get("requestBody") or {}, document)
    content = body.get("content") or {}
    schema = _resolved((content.get("application/json") or {}).get("schema") or {}, document)
    if schema.get("properties"):
        properties |= schema["properties"]
        required += [each for each in schema.get("required", ()) if each not in required]
    elif schema:
        properties["body"] = schema
        required += ["body"] if body.get("required") else []
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    clean = NAME.sub("_", str(name or "operation")).strip("_")[:64]
    description = operation.get("summary") or operation.get("description")
    return _tool(clean, description, _inlined(parameters, document))


def _resolved(node: Any, document: Mapping[str, Any]) -> Any:
    """What a local ``$ref`` points at."""
    seen = 0
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        seen += 1
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
        if target is None or seen > 32:
            raise InvalidRequest(FIELD, f"{node['$ref']!r} points at nothing")
        node = target
    return node


def _inlined(node: Any, document: Mapping[str, Any], depth: int = 0) -> Any:
    """The schema without references, which would point out of it."""
    if depth > 16:
        return {}
    node = _resolved(node, document)
    if isinstance(node, dict):
        return {key: _inlined(child, document, depth + 1) for key, child in node.items()}
    if isinstance(node, list):
        return [_inlined(child, document, depth + 1) for child in node]
    return node


def _tool(name: Any, description: Any, parameters: Any) -> Tool:
    if not isinstance(name, str) or not name:
        raise InvalidRequest(FIELD, "a tool needs a name")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidRequest(FIELD, f"{name}: parameters must be a JSON schema")
    return Tool(name, str(description or ""), parameters)
