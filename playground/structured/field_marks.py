"""Which rules of a schema hold for each field of an answer, and what breaks them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from playground.errors import InvalidRequest
from playground.protocol.json_types import Json, list_at, parse_object
from playground.structured.references import SchemaNode
from playground.structured.validation import all_errors

MAX_MARKS = 500


@dataclass(frozen=True, slots=True)
class FieldMark:
    """One value within an answer: its JSON path, the rules of the schema that hold for it, and what
    breaks them, if anything does.
    """

    path: str
    value: Json
    rules: str
    problem: str = ""


def field_marks(schema: Mapping[str, object], value: Json) -> tuple[FieldMark, ...]:
    """Return every value within the answer that is no container, with its rules and its error.

    Errors of a container (a missing field, too few items) have the container's own path.
    """
    problems: dict[str, str] = {}
    for error in all_errors(schema, value):
        problems.setdefault(error.json_path, error.message[:200])
    root = SchemaNode.root(parse_object(json.dumps(schema)), "response_format")
    marks = [
        FieldMark(path, leaf, _rules(rule), problems.pop(path, ""))
        for path, leaf, rule in _leaves("$", value, root)
    ]
    container_errors = [FieldMark(path, None, "", problem) for path, problem in problems.items()]
    return tuple([*container_errors, *marks][:MAX_MARKS])


def _leaves(path: str, value: Json, schema: SchemaNode) -> Iterator[tuple[str, Json, SchemaNode]]:
    schema = _resolved(schema)
    rule = schema.object
    if isinstance(value, dict) and value:
        properties = schema.children_at("properties")
        others = schema.child(rule.get("additionalProperties"))
        for key, member in value.items():
            step = f".{key}" if key.isidentifier() else f"[{key!r}]"
            yield from _leaves(f"{path}{step}", member, properties.get(key, others))
    elif isinstance(value, list) and value:
        first = list_at(rule, "prefixItems")
        for n, item in enumerate(value):
            inner = schema.child(first[n] if n < len(first) else rule.get("items"))
            yield from _leaves(f"{path}[{n}]", item, inner)
    else:
        yield path, value, schema


def _resolved(schema: SchemaNode) -> SchemaNode:
    """Return the schema that a reference points at; any value fits one that points at nothing."""
    try:
        return schema.resolved()
    except InvalidRequest:  # the answer was checked before; here it only has no rules to show
        return schema.child({})


def _rules(schema: SchemaNode) -> str:
    """Describe the rules in words short enough for a table."""
    shown: list[str] = []
    for key, rule in schema.object.items():
        if key == "type":
            names = rule if isinstance(rule, list) else [rule]
            shown.insert(0, " or ".join(map(str, names)))
        elif key == "enum" and isinstance(rule, list):
            shown.append(f"enum: {', '.join(map(str, rule))}"[:120])
        elif key in ("anyOf", "oneOf", "allOf") and isinstance(rule, list):
            options = (_rules(_resolved(schema.child(option))) for option in rule)
            shown.append(f"{key}: {', '.join(options)}"[:120])
        elif key not in ("description", "title", "default", "examples", "properties", "$ref"):
            shown.append(f"{key} {json.dumps(rule, ensure_ascii=False)}"[:80])
    return ", ".join(shown)
