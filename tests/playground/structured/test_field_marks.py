"""Rules and errors that are shown at the fields of an answer."""

import pytest

from playground.protocol.json_types import JsonSchema
from playground.structured.field_marks import field_marks


def test_every_field_is_marked_with_its_rules_and_its_fault() -> None:
    schema: JsonSchema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        },
        "required": ["age", "name"],
        "$defs": {"tag": {"type": "string", "maxLength": 2}},
    }
    marks = {mark.path: mark for mark in field_marks(schema, {"age": -1, "tags": ["ab", "abc"]})}
    assert marks["$.age"].rules == "integer, minimum 0"
    assert "less than the minimum" in marks["$.age"].problem
    assert marks["$.tags[0]"].problem == ""
    assert "too long" in marks["$.tags[1]"].problem
    assert "'name' is a required property" in marks["$"].problem


@pytest.mark.parametrize("target", [{"$ref": "#/$defs/name"}, {"$ref": "#/$defs/nowhere"}])
def test_options_of_anyof_show_their_rules(target: JsonSchema) -> None:
    schema: JsonSchema = {
        "anyOf": [{"type": "integer"}, target],
        "$defs": {"name": {"type": "string"}, "nowhere": {"$ref": "#/$defs/name"}},
    }
    (mark,) = (mark for mark in field_marks(schema, "Anna") if mark.path == "$")
    assert mark.rules.startswith("anyOf: integer, string")
