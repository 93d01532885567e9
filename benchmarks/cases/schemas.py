"""Schemas and tools that are held, checked or refused, with the place and the reason."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from benchmarks.cases.case import Case, Check, Outcome, answered, refused
from benchmarks.cases.requests import WEATHER, body, both, function, object_schema, shaped


def schemas() -> Iterator[Case]:
    patterns = {
        "look-ahead": r"^(?!\.)[a-z.]{1,8}$",
        "look-behind": r"^[a-z]{1,8}(?<!x)$",
        "word boundary": r"^\b[a-z]{1,8}\b$",
        "back reference": r"^([a-z])\1$",
        "end of text": r"^[a-z]{1,8}\Z",
        "property": r"^\p{L}{1,8}$",
        "named group": r"^(?<first>[a-z])[a-z]{0,7}$",
        "zod's e-mail": r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@"
        r"([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
        "pydantic's decimal": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$",
        "unanchored": "[0-9]{3}",
    }
    for name, pattern in patterns.items():
        schema = object_schema(a={"type": "string", "pattern": pattern, "maxLength": 12})
        form = {"response_format": shaped(schema), "max_tokens": 200}
        yield from both("schema", f"pattern: {name}", form, answered)
        tools = [WEATHER, function("invite", {"a": {"type": "string", "pattern": pattern}})]
        yield Case("schema", f"pattern in a tool: {name}", body(tools=tools), (answered,))
    strict = {
        "uniqueItems": {"type": "array", "items": {"enum": ["x", "y"]}, "uniqueItems": True},
        "propertyNames": {"type": "object", "propertyNames": {"enum": ["x", "y"]}},
        "pattern": {"type": "string", "pattern": patterns["look-ahead"]},
    }
    for keyword, part in strict.items():
        form = shaped(object_schema(a=part), strict=True)
        yield from both(
            "schema",
            f"strict {keyword}",
            {"response_format": form},
            refused("response_format", keyword),
        )
        tools = [function("f", {"a": part}, strict=True)]
        param = "tools[0].function.parameters"
        yield Case(
            "schema", f"strict tool {keyword}", body(tools=tools), (refused(param, keyword),)
        )
    held = {
        "integer range": {"type": "integer", "minimum": 3, "maximum": 9},
        "enum": {"enum": ["a", "b", None]},
        "nullable": {"type": ["string", "null"], "maxLength": 5},
        "anyOf": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
        "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
        "date": {"type": "string", "format": "date"},
    }
    for name, part in held.items():
        schema = object_schema(a=part)
        form = {"response_format": shaped(schema, strict=True), "max_tokens": 200}
        yield from both("schema", f"held: {name}", form, answered, _valid(schema))
    endless = {
        "itself": {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
        "each other": {
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
            "$ref": "#/$defs/A",
        },
        "required": {"$defs": {"A": object_schema(a={"$ref": "#/$defs/A"})}, "$ref": "#/$defs/A"},
    }
    for name, schema in endless.items():
        form = {"response_format": shaped(schema)}
        yield from both("schema", f"endless: {name}", form, refused("response_format"))
        parameters = object_schema(a=schema) | {"$defs": schema["$defs"]}
        tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
        param = "tools[0].function.parameters"
        yield Case("schema", f"endless in a tool: {name}", body(tools=[tool]), (refused(param),))
    wrong: dict[str, Any] = {
        "properties null": {"type": "object", "properties": None},
        "unknown type": {"type": "strin"},
        "minimum as text": {"type": "integer", "minimum": "3"},
        "required as text": {"type": "object", "required": "a"},
        "unknown reference": {"$ref": "#/$defs/nowhere"},
        "contradiction": {"type": "integer", "minimum": 5, "maximum": 3},
    }
    for name, schema in wrong.items():
        form = shaped(schema)
        yield Case(
            "schema", f"wrong: {name}", body(response_format=form), (refused("response_format"),)
        )
    nothing = {"type": "json_schema"}
    check = refused("response_format.json_schema")
    yield Case("schema", "no schema given", body(response_format=nothing), (check,))


def _valid(schema: Mapping[str, Any]) -> Check:
    def check(got: Outcome) -> str:
        try:
            value = json.loads(got.message.get("content") or "")
        except ValueError as error:
            return f"not JSON: {error}"
        return next((e.message for e in Draft202012Validator(schema).iter_errors(value)), "")

    return check
