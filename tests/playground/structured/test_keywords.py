"""Malformed schemas are found as `jsonschema` finds them, and named by their place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError

from playground.structured.keywords import (
    Schema,
    depth,
    draft_of,
    first_problem,
    is_longer,
    rebuilt,
    subschemas,
    walk,
)

DRAFTS: dict[str, Any] = {
    "http://json-schema.org/draft-04/schema#": Draft4Validator,
    "http://json-schema.org/draft-07/schema#": Draft7Validator,
    "https://json-schema.org/draft/2020-12/schema": Draft202012Validator,
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 2, 2.0, 2.5]),
    st.sampled_from(["object", "strin", ""]),
    st.lists(st.sampled_from(["string", "a", 1]), max_size=2),
)
KEYWORDS = (
    "type enum const properties patternProperties additionalProperties required minProperties "
    "propertyNames dependentRequired items prefixItems contains minItems uniqueItems minLength "
    "maximum exclusiveMaximum multipleOf allOf anyOf oneOf not if then $defs definitions "
    "title description examples deprecated $comment default unknown"
)
# Names that only some drafts know are checked in all of them, which refuses no schema that is used.
NEWER = {"prefixItems", "dependentRequired", "if", "then", "contains", "propertyNames", "examples"}
NEWER |= {"$defs", "$comment", "deprecated", "definitions", "const", "enum"}


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    value = st.one_of(
        inner,
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        st.lists(inner, max_size=2),
    )
    return st.dictionaries(st.sampled_from(KEYWORDS.split()), value, max_size=3)


@pytest.mark.slow
@given(
    st.recursive(VALUES, schemas, max_leaves=8).filter(lambda value: isinstance(value, dict)),
    st.sampled_from([*DRAFTS]),
)
def test_malformed_schemas_are_those_of_metaschema(schema: Schema, draft: str) -> None:
    old = "2020" not in draft
    if old and any(NEWER & set(node) for _, node in walk_safely(schema)):
        return
    schema = {**schema, "$schema": draft}
    try:
        DRAFTS[draft].check_schema(schema)
        malformed = False
    except SchemaError:
        malformed = True
    if old and malformed:  # draft 4 is narrower: no empty lists, for example
        return
    assert bool(first_problem(schema)) == malformed


def walk_safely(value: Any) -> list[tuple[str, dict[str, Any]]]:
    """Every object within any value."""
    found, waiting = [], [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            found.append(("", node))
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "strin"}, "at /type: 'strin' is not one of array"),
        ({"properties": None}, "at /properties: None is not an object"),
        ({"properties": {"a/b": {"minimum": "3"}}}, "at /properties/a~1b/minimum: '3' is not a"),
        ({"items": {"anyOf": [{}, {"required": ["x", "x"]}]}}, "at /items/anyOf/1/required"),
        ({"properties": {"a": 1}}, "at /properties/a: 1 is not a schema"),
        ({"items": [{}]}, "at /items"),
        ({"properties": {"a": []}}, "at /properties/a: [] is not a schema"),
    ],
)
def test_malformed_schema_names_its_place(schema: Schema, problem: str) -> None:
    assert problem in first_problem(schema)


def test_property_may_have_keyword_name() -> None:
    schema = {"properties": {"type": {"type": "string"}, "required": True, "enum": {}}}
    assert first_problem(schema) == ""


def test_old_draft_allows_list_of_items() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert (draft_of(schema), first_problem(schema)) == (7, "")


def test_walk_finds_schemas_and_nothing_else() -> None:
    schema = {"properties": {"a": {"enum": [{"b": {}}]}}, "default": {"c": {}}, "items": {}}
    assert [pointer for pointer, _ in walk(schema)] == ["", "/properties/a", "/items"]


def test_subschemas_of_dependencies_are_no_lists() -> None:
    schema = {"dependencies": {"a": ["b"], "c": {"minProperties": 1}}}
    assert [*subschemas(schema)] == [("/dependencies/c", {"minProperties": 1})]


def test_rebuilt_leaves_original_as_it_was() -> None:
    schema: Schema = {"items": {"title": "x"}, "not": {"title": "y"}}

    def untitled(node: Schema) -> Schema:
        node.pop("title", None)
        return node

    assert rebuilt(schema, untitled, lambda _: {"not"}) == {"items": {}, "not": {"title": "y"}}
    assert schema["items"] == {"title": "x"}


def test_length_is_never_overstated() -> None:
    value = {"a": ["x", 1, None, {"b": "é"}], "c": {}}
    assert is_longer(value, 30)
    assert not is_longer(value, len(json.dumps(value, ensure_ascii=False)))


def test_depth_is_counted_beyond_the_stack() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert depth(value, 64) == 65
