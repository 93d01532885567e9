"""JSON schemas: what is refused, where, and which guarantee is left."""

import json
import time
from typing import Any

import pytest

from playground.errors import InvalidRequest
from playground.structured.schema import MAX_SCHEMA_CHARACTERS, MAX_SCHEMA_DEPTH, compile_schema


@pytest.mark.parametrize(
    ("schema", "needs_check"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"enum": ["red", "green"]}, False),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, False),
        ({"type": "string", "format": "iban"}, True),
        ({"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}, True),
        ({"type": "array", "uniqueItems": True, "items": {"type": "integer"}}, True),
    ],
)
def test_a_schema_is_held_as_strictly_as_it_can_be(schema: dict, needs_check: bool) -> None:
    assert compile_schema(schema).needs_check is needs_check


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objec"}, "wrong at /type"),
        ({"properties": {"a": {"minLength": "x"}}}, "wrong at /properties/a/minLength"),
        ({"type": "integer", "minimum": 5, "maximum": 2}, "minimum"),
        ({"type": "string", "minLength": 5, "maxLength": 2}, "minLength"),
        ({"enum": ["x" * MAX_SCHEMA_CHARACTERS]}, "characters"),
    ],
)
def test_a_wrong_schema_is_refused_with_its_place(schema: dict, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        compile_schema(schema)


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: dict = {}
    for _ in range(MAX_SCHEMA_DEPTH + 1):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InvalidRequest, match="nested"):
        compile_schema(schema)


def test_an_answer_that_no_grammar_guarantees_is_checked_with_its_place() -> None:
    compiled = compile_schema({"type": "array", "uniqueItems": True, "items": {"type": "integer"}})
    assert compiled.check("[1, 2]") is None
    assert "non-unique" in (compiled.check("[1, 1]") or "")
    assert "not JSON" in (compiled.check("[1") or "")


def test_a_schema_is_compiled_once() -> None:
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(200)}}
    compile_schema(schema)
    began = time.perf_counter()
    again = compile_schema(json.loads(json.dumps(schema)))
    assert again is compile_schema(schema)
    assert time.perf_counter() - began < 1


def test_large_schema_compiles_in_little_time() -> None:
    names = [f"property_{n}" for n in range(30)]
    fields = {name: {"type": "string", "description": f"The {name}"} for name in names}
    part = {"type": "object", "properties": fields, "required": names}
    schema = {"type": "object", "properties": {f"part_{n}": part for n in range(75)}}
    assert len(json.dumps(schema)) > 144_000
    began = time.process_time()
    compile_schema(schema)
    assert time.process_time() - began < 0.6  # validating it against its metaschema takes 2 s


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "string", "minLength": 5, "maxLength": 2}, "/"),
        (
            {
                "properties": {
                    "a/b": {
                        "type": "object",
                        "properties": {"c": {"type": "integer", "minimum": 5, "maximum": 3}},
                        "required": ["c"],
                    }
                },
                "required": ["a/b"],
                "type": "object",
            },
            "/properties/a~1b/properties/c",
        ),
        (
            {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/$defs/x"},
                "$defs": {"x": {"enum": ["a"], "type": "integer"}},
            },
            "/items",
        ),
    ],
)
def test_a_schema_that_nothing_fits_is_refused_with_the_place(schema: Any, pointer: str) -> None:
    with pytest.raises(
        InvalidRequest, match=f"cannot be compiled to a grammar at {pointer}: Unsatisfiable"
    ):
        compile_schema(schema)
