"""Tell where ``oneOf`` means the same as ``anyOf``: where no value fits two of its schemas.

llguidance sees that for schemas in place; unions that pydantic and OpenAPI write refer to theirs.
"""

from itertools import combinations
from typing import Any

from playground.structured.keywords import TYPES, Schema

MAX_CHOICES = 64
MAX_HOPS = 8
"""References followed from one schema to the next."""


def are_exclusive(choices: list[Any], root: Schema) -> bool:
    """Whether the schemas certainly have no value in common: by type, value or tag."""
    if len(choices) > MAX_CHOICES:
        return False
    nodes = [_resolved(choice, root) for choice in choices]
    return all(_apart(first, second, root) for first, second in combinations(nodes, 2))


def _apart(first: Schema, second: Schema, root: Schema) -> bool:
    if not _types(first) & _types(second):
        return True
    values, others = _values(first), _values(second)
    if values is not None and others is not None:
        return not values & others
    if first.get("type") != "object" or second.get("type") != "object":
        return False
    shared = set(first.get("required", ())) & set(second.get("required", ()))
    return any(_tags_apart(name, first, second, root) for name in shared)


def _tags_apart(name: str, first: Schema, second: Schema, root: Schema) -> bool:
    """Whether the values that the two allow for a property are different ones."""
    tag, other = (
        _values(_resolved(schema.get("properties", {}).get(name), root))
        for schema in (first, second)
    )
    return tag is not None and other is not None and not tag & other


def _values(schema: Schema) -> set[str] | None:
    """All texts that the schema allows, if it lists them and they are texts."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if not listed or not all(isinstance(value, str) for value in listed):
        return None
    return set(listed)


def _types(schema: Schema) -> set[str]:
    named = schema.get("type", TYPES)
    types = {named} if isinstance(named, str) else set(named)
    return types | ({"integer"} if "number" in types else set())


def _resolved(schema: Any, root: Schema) -> Schema:
    """What a chain of references within the document leads to; a schema of anything if unknown."""
    for _ in range(MAX_HOPS):
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if reference is None:
            return schema
        if not reference.startswith("#/"):
            return {}
        schema = root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            schema = schema.get(name) if isinstance(schema, dict) else None
    return {}
