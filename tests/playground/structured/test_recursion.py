"""Schemas that refer to themselves: a tree ends, an endless one is refused with its place."""

from typing import Any

import pytest

from playground.errors import InvalidRequest
from playground.structured.recursion import check_recursion
from playground.structured.schema import compile_schema

SELF = {"$ref": "#"}


def requires(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


ENDLESS = [
    ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "/\\$defs/A"),
    (SELF, "/"),
    (requires("next", SELF), "/"),
    ({"type": "array", "minItems": 1, "items": SELF}, "/"),
    ({"type": "array", "minItems": 2, "prefixItems": [{"type": "null"}, SELF]}, "/"),
    ({"anyOf": [SELF, requires("a", SELF)]}, "/"),
    ({"allOf": [{"type": "object"}, SELF]}, "/"),
    (
        requires("a", {"$ref": "#/$defs/B"})
        | {
            "$defs": {
                "B": requires("c", {"$ref": "#/$defs/C"}),
                "C": requires("b", {"$ref": "#/$defs/B"}),
            }
        },
        "/\\$defs/B",
    ),
    ({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}, "/"),
]
ENDING = [
    {"type": "object", "properties": {"next": SELF}},
    requires("next", {"anyOf": [SELF, {"type": "null"}]}),
    {"type": "array", "items": SELF},
    {"properties": {"next": SELF}, "required": ["next"]},
    {"anyOf": [SELF, {"type": "string"}]},
    {"$defs": {"A": {"$ref": "#/$defs/A"}}, "type": "string"},
    requires("kind", {"const": 1, "$ref": "#/$defs/K"}) | {"$defs": {"K": {"type": "integer"}}},
]


@pytest.mark.parametrize(("schema", "place"), ENDLESS)
def test_endless_schema_refused_with_place(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRequest, match=f"wrong at {place}.*refers to itself endlessly"):
        compile_schema(schema)


@pytest.mark.parametrize("schema", ENDING)
def test_recursion_with_an_end_taken(schema: dict[str, Any]) -> None:
    check_recursion(schema, "response_format")


def test_reference_to_nothing_refused() -> None:
    with pytest.raises(InvalidRequest, match="'#/\\$defs/B' points at nothing"):
        compile_schema({"type": "array", "items": {"$ref": "#/$defs/B"}})
