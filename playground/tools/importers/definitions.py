"""Import tools and schemas from text that people have: OpenAI's tool JSON, an OpenAPI operation, a
bare JSON schema, Python signatures, an example value; the first three
in YAML, too. Knows no page.
"""

import json
import re
from enum import Enum
from typing import Final

import yaml

from playground.errors import InvalidRequest
from playground.protocol import Tool
from playground.protocol.json_types import (
    Json,
    JsonObject,
    JsonSchema,
    list_at,
    object_at,
    parse_json,
)
from playground.structured.references import SchemaNode, inline
from playground.tools.importers.python_source import FIELD, schema_of_models, tools_of_signatures

YAML_KEY = re.compile(
    r"^(openapi|swagger|info|paths|operationId|title|type|name|function):(\s|$)", re.MULTILINE
)
"""How OpenAPI documents, operations, schemas and tools begin lines in YAML."""
NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Python(Enum):
    """Stands for a text that is not JSON; None is a JSON value."""

    TEXT = 0


PYTHON: Final = Python.TEXT
PLACES = ("query", "path", "header", "cookie")
METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})


def tools_of_text(text: str) -> tuple[Tool, ...]:
    """Read the text as tools: one or a list of OpenAI's tools (or bare functions),
    an OpenAPI document or operation, a JSON schema with a title (these in JSON or YAML), or Python
    signatures.

    Raises `InvalidRequest` saying what is wrong or what was expected.
    """
    value = _json_or_python(text)
    if value is PYTHON:
        return tools_of_signatures(text)
    if isinstance(value, list):
        return tuple(tool for item in value for tool in _tools(item))
    return tuple(_tools(value))


def schema_of_text(text: str) -> JsonSchema:
    """Return a JSON schema from an example value (JSON) or from pydantic models (Python).

    Raises `InvalidRequest` saying what is wrong.
    """
    value = _json_or_python(text)
    return schema_of_models(text) if value is PYTHON else schema_of_example(value)


def _json_or_python(text: str) -> "Json | Python":
    """Return the text's JSON value, or `PYTHON` for what does not look like JSON."""
    if not text.strip():
        raise InvalidRequest(FIELD, "there is nothing to read")
    try:
        value = parse_json(text)
    except RecursionError as error:
        raise InvalidRequest(FIELD, "nested too deep") from error
    except ValueError as error:
        if text.lstrip()[0] in "{[":
            raise InvalidRequest(FIELD, f"not JSON: {error}") from error
        return _yaml_document(text)
    return value


def _yaml_document(text: str) -> "Json | Python":
    """Return the OpenAPI document or schema that the text is in YAML, else `PYTHON`."""
    if not YAML_KEY.search(text):
        return PYTHON
    try:
        loader = yaml.SafeLoader(text)
        loader.yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
            for first, resolvers in loader.yaml_implicit_resolvers.items()
        }
        # A document of aliases could grow without end; OpenAPI refers by $ref.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InvalidRequest(FIELD, "YAML aliases are not read")
        value = loader.get_single_data()
        return parse_json(json.dumps(value))
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(FIELD, f"not YAML: {' '.join(str(error).split())}") from error


def schema_of_example(value: Json) -> JsonSchema:
    """Return a schema that values like this one fit.

    Objects list all their fields as required; the items of a list share one schema, in which only
    what all of them have is required.
    """
    if isinstance(value, dict):
        properties: JsonObject = {key: schema_of_example(child) for key, child in value.items()}
        return {"type": "object", "properties": properties, "required": list(value)}
    if isinstance(value, list):
        merged: JsonSchema = {}
        for schema in map(schema_of_example, value):
            merged = _merged(merged, schema) if merged else schema
        return {"type": "array", "items": merged} if merged else {"type": "array"}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return {"type": kinds[type(value)]}


def _merged(one: JsonSchema, other: JsonSchema) -> JsonSchema:
    """Return a schema for what fits either."""
    if one == other:
        return one
    if one.get("type") == other.get("type") == "object":
        both = {**object_at(one, "properties")}
        for key, schema in object_at(other, "properties").items():
            both[key] = _merged(object_at(both, key), _object(schema)) if key in both else schema
        required = [key for key in list_at(one, "required") if key in list_at(other, "required")]
        return {"type": "object", "properties": both, "required": required}
    if one.get("type") == other.get("type") == "array":
        items = [object_at(schema, "items") for schema in (one, other) if "items" in schema]
        if len(items) == 2:
            return {"type": "array", "items": _merged(items[0], items[1])}
        return {"type": "array", "items": items[0]} if items else {"type": "array"}
    kinds = {one.get("type"), other.get("type")} if "anyOf" not in {*one, *other} else set()
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    parts: list[Json] = []
    for part in (*(list_at(one, "anyOf") or [one]), *(list_at(other, "anyOf") or [other])):
        if part not in parts:
            parts.append(part)
    return {"anyOf": parts}


def _tools(value: Json) -> list[Tool]:
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
        return [_operation(SchemaNode.root(value, FIELD), value.get("operationId"))]
    if "title" in value:
        name = NAME.sub("_", str(value["title"])).strip("_").lower()
        schema = {key: child for key, child in value.items() if key not in ("title", "$schema")}
        return [_tool(name, value.get("description"), schema)]
    raise InvalidRequest(
        FIELD,
        "expected a tool with a name, an OpenAPI operation with an operationId, a JSON schema with "
        "a title, or a Python signature",
    )


def _openapi(document: JsonObject) -> list[Tool]:
    """Return every operation of an OpenAPI 3 document (https://spec.openapis.org/oas/v3.1.0)."""
    root = SchemaNode.root(document, FIELD)
    tools = []
    for path, item in object_at(document, "paths").items():
        if not isinstance(item, dict):
            continue
        for method, operation in item.items():
            if method in METHODS and isinstance(operation, dict):
                parameters = [*list_at(item, "parameters"), *list_at(operation, "parameters")]
                name = operation.get("operationId") or f"{method}_{path}"
                node = root.child({**operation, "parameters": parameters})
                tools.append(_operation(node, name))
    if not tools:
        raise InvalidRequest(FIELD, "the OpenAPI document has no operation")
    return tools


def _operation(operation: SchemaNode, name: Json) -> Tool:
    """Return a tool with an operation's parameters, and the fields of its JSON body beside them."""
    properties: JsonObject = {}
    required: list[Json] = []
    for parameter in operation.items_at("parameters"):
        is_object = isinstance(parameter.value, dict)
        if not is_object or parameter.object.get("in", "query") not in PLACES:
            raise InvalidRequest(FIELD, f"{name}: a parameter is not understood")
        schema = _object(inline(parameter.at("schema")))
        description = parameter.object.get("description")
        key = str(parameter.object.get("name"))
        properties[key] = {**schema, "description": description} if description else schema
        if parameter.object.get("required"):
            required.append(key)
    body = operation.at("requestBody")
    schema = _object(inline(body.at("content").at("application/json").at("schema")))
    fields = object_at(schema, "properties")
    if fields:
        properties |= fields
        required += [field for field in list_at(schema, "required") if field not in required]
    elif schema:
        properties["body"] = schema
        required += ["body"] if body.object.get("required") else []
    parameters: JsonObject = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    clean = NAME.sub("_", str(name or "operation")).strip("_")[:64]
    description = operation.object.get("summary") or operation.object.get("description")
    return _tool(clean, description, parameters)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _tool(name: Json, description: Json, parameters: Json) -> Tool:
    if not isinstance(name, str) or not name:
        raise InvalidRequest(FIELD, "a tool needs a name")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidRequest(FIELD, f"{name}: parameters must be a JSON schema")
    return Tool(name, str(description or ""), parameters)
