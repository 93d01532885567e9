"""``oneOf`` is ``anyOf`` only where no value fits two of its schemas."""

from typing import Any

import pytest

from playground.structured.exclusive import are_exclusive
from playground.structured.schema import compile_schema


def tagged(tag: Any, required: tuple[str, ...] = ("kind",)) -> dict[str, Any]:
    return {"type": "object", "properties": {"kind": tag}, "required": [*required]}


CAT, DOG = tagged({"const": "cat"}), tagged({"enum": ["dog", "wolf"]})
ROOT = {"$defs": {"Cat": CAT, "Dog": DOG, "Loop": {"$ref": "#/$defs/Loop"}}}


@pytest.mark.parametrize(
    "choices",
    [
        [CAT, DOG],
        [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        [{"type": "string"}, {"type": ["null", "boolean"]}, CAT],
        [{"const": "a"}, {"enum": ["b", "c"]}],
    ],
)
def test_different_choices_are_exclusive(choices: list[Any]) -> None:
    assert are_exclusive(choices, ROOT)


@pytest.mark.parametrize(
    "choices",
    [
        [CAT, CAT],
        [CAT, tagged({"enum": ["cat", "lion"]})],
        [CAT, tagged({"const": "dog"}, required=())],
        [CAT, {key: value for key, value in DOG.items() if key != "type"}],
        [{"type": "integer"}, {"type": "number"}],
        [{"type": "string"}, {}],
        [{"enum": [1]}, {"enum": [1.0]}],
        [{"$ref": "#/$defs/Loop"}, CAT],
        [{"$ref": "other"}, CAT],
    ],
)
def test_choices_that_may_overlap_are_not(choices: list[Any]) -> None:
    assert not are_exclusive(choices, ROOT)


def test_tagged_union_is_held_strictly() -> None:
    schema = {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}
    defs = {"Cat": CAT, "Dog": DOG}
    discriminator = {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat"}}
    compiled = compile_schema({**schema, "discriminator": discriminator, "$defs": defs})
    assert compiled.level == "strict"
