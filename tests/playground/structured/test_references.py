"""References are followed within the document, and nowhere else."""

import pytest

from playground.errors import InvalidRequest
from playground.protocol.json_types import JsonObject, JsonSchema
from playground.structured.references import SchemaNode, inline

DOCUMENT: JsonObject = {
    "$id": "https://example.org/root",
    "$defs": {
        "word": {"type": "string"},
        "a/b~c": {"type": "integer"},
        "named": {"$anchor": "mark", "type": "boolean"},
        "inner": {
            "$id": "https://example.org/inner",
            "$defs": {"word": {"type": "null"}},
            "properties": {"near": {"$ref": "#/$defs/word"}, "far": {"$ref": "root#/$defs/word"}},
        },
        "tree": {"properties": {"child": {"$ref": "#/$defs/tree"}}},
        "loop": {"$ref": "#/$defs/back"},
        "back": {"$ref": "#/$defs/loop"},
        "wide": {"prefixItems": [{"$ref": "#/$defs/wide"}] * 9},
    },
}


def resolve(reference: str) -> object:
    return SchemaNode.root(DOCUMENT, "tools").child({"$ref": reference}).resolved().value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("#/$defs/word", {"type": "string"}),
        ("#/$defs/a~1b~0c", {"type": "integer"}),
        ("https://example.org/root#/$defs/word", {"type": "string"}),
        ("inner#/$defs/word", {"type": "null"}),
        ("#mark", {"$anchor": "mark", "type": "boolean"}),
    ],
)
def test_reference_finds_its_target(reference: str, value: JsonSchema) -> None:
    assert resolve(reference) == value


@pytest.mark.parametrize(
    "reference",
    ["#/$defs/none", "#none", "https://example.org/other", "#/$defs/word/type/x", "http://[::1"],
)
def test_reference_to_nothing_is_refused(reference: str) -> None:
    with pytest.raises(InvalidRequest, match="points at nothing"):
        resolve(reference)


@pytest.mark.parametrize("reference", ["#/$defs/loop", "#/$defs/back"])
def test_endless_reference_is_refused(reference: str) -> None:
    with pytest.raises(InvalidRequest, match="refers to itself endlessly"):
        resolve(reference)


def test_id_changes_the_base_of_references_below_it() -> None:
    inner = SchemaNode.root(DOCUMENT, "tools").at("$defs").at("inner")
    assert {
        key: node.resolved().value for key, node in inner.children_at("properties").items()
    } == {
        "near": {"type": "null"},
        "far": {"type": "string"},
    }


def test_inlined_recursion_ends_with_an_open_schema() -> None:
    value = inline(SchemaNode.root(DOCUMENT, "tools").at("$defs").at("tree"))
    depth = 0
    while isinstance(value, dict) and value:
        (value,) = value.values()
        depth += 1
    assert (value, depth > 4) == ({}, True)


@pytest.mark.slow
def test_inlined_schema_that_explodes_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="too large"):
        inline(SchemaNode.root(DOCUMENT, "tools").at("$defs").at("wide"))
