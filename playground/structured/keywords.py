"""JSON Schema's keywords: which hold schemas, what values they take, and walks over a schema.

A schema is checked keyword by keyword. `jsonschema.check_schema` validates it against the
metaschema instead, which takes seconds for a schema of 100 KB, in which nothing else runs.
"""

import math
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

Schema: TypeAlias = dict[str, Any]
Draft = Literal[3, 4, 6, 7, 2019, 2020]

MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose value is an object of schemas."""
LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""
SINGLES = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords whose value is a schema; ``items`` is a list of schemas up to the draft of 2019."""
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def draft_of(schema: Mapping[str, Any]) -> Draft:
    """The draft that ``$schema`` names; the one of 2020 by default."""
    named = schema.get("$schema")
    if not isinstance(named, str):
        return 2020
    kind = validator_for({"$schema": named}, default=Draft202012Validator)
    drafts: dict[str, Draft] = {
        "Draft3Validator": 3,
        "Draft4Validator": 4,
        "Draft6Validator": 6,
        "Draft7Validator": 7,
        "Draft201909Validator": 2019,
    }
    return drafts.get(kind.__name__, 2020)


def subschemas(schema: Schema) -> Iterator[tuple[str, Any]]:
    """The schemas directly within a schema, each with its JSON pointer from there."""
    for key, value in schema.items():
        if key in SINGLES and not isinstance(value, list):
            yield f"/{key}", value
        elif key in MAPS or (key == "dependencies" and isinstance(value, dict)):
            for name, inner in value.items():
                if key in MAPS or not isinstance(inner, list):  # a list names properties
                    yield f"/{key}/{escape(name)}", inner
        elif key in LISTS or key == "items":
            for place, inner in enumerate(value):
                yield f"/{key}/{place}", inner


def walk(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schema and all schemas within it, outer ones first, each with its JSON pointer."""
    waiting: list[tuple[str, Any]] = [("", schema)]
    while waiting:
        pointer, node = waiting.pop()
        if isinstance(node, dict):
            yield pointer, node
            waiting += reversed([(pointer + step, inner) for step, inner in subschemas(node)])


def rebuilt(
    schema: Schema,
    change: Callable[[Schema], Schema],
    skip: Callable[[Schema], Container[str]] = lambda _: (),
) -> Schema:
    """A copy in which every schema is ``change`` of itself, inner ones first.

    ``change`` is given a copy, which it may alter and return. Schemas under the keywords that
    ``skip`` names for a schema stay as they are.
    """

    def inside(value: Any) -> Any:
        return rebuilt(value, change, skip) if isinstance(value, dict) else value

    copy = dict(schema)
    skipped = skip(schema)
    for key, value in schema.items():
        if key in skipped:
            continue
        if key in SINGLES and isinstance(value, dict):
            copy[key] = rebuilt(value, change, skip)
        elif key in MAPS or (key == "dependencies" and isinstance(value, dict)):
            copy[key] = {name: inside(inner) for name, inner in value.items()}
        elif key in LISTS or (key == "items" and isinstance(value, list)):
            copy[key] = [inside(inner) for inner in value]
    return change(copy)


def escape(name: object) -> str:
    """A step of a JSON pointer."""
    return str(name).replace("~", "~0").replace("/", "~1")


def first_problem(schema: Schema) -> str:
    """What is malformed first, with its JSON pointer; empty for a well-formed schema."""
    checks = _checks(draft_of(schema))
    waiting: list[tuple[str, Any]] = [("", schema)]
    while waiting:
        pointer, node = waiting.pop()
        if isinstance(node, bool):
            continue
        if not isinstance(node, dict):
            return f"the schema is wrong at {pointer or '/'}: {_quote(node)} is not a schema"
        for key, value in node.items():
            check = checks.get(key)
            problem = check(value) if check else ""
            if problem:
                place = f"{pointer}/{escape(key)}"
                return f"the schema is wrong at {place}: {_quote(value)} {problem}"
        waiting += reversed([(pointer + step, inner) for step, inner in subschemas(node)])
    return ""


def depth(value: object, limit: int) -> int:
    """Nesting of a value, counted up to one more than ``limit``; without recursion, because it may
    be deeper than Python's stack.
    """
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        if level > limit:
            break
        if isinstance(node, dict):
            waiting += [(child, level + 1) for child in node.values()]
        elif isinstance(node, list):
            waiting += [(child, level + 1) for child in node]
    return deepest


def is_longer(value: object, limit: int) -> bool:
    """Whether a value surely has more characters as JSON than the limit, which ends the count.

    Other threads run meanwhile, as they do not while `json.dumps` writes some megabytes.
    """
    size, waiting = 0, [value]
    while waiting and size <= limit:
        node = waiting.pop()
        if isinstance(node, str):
            size += len(node) + 2
        elif isinstance(node, dict):
            size += sum(map(len, node)) + 4 * len(node)
            waiting += node.values()
        elif isinstance(node, list):
            size += 2 * len(node)
            waiting += node
        else:
            size += 1
    return size > limit


Check: TypeAlias = Callable[[Any], str]


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"


def _is(kind: type, name: str, value: Any) -> str:
    return "" if isinstance(value, kind) else f"is not {name}"


def _number(value: Any) -> str:
    finite = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )
    return "" if finite else "is not a number"


def _positive(value: Any) -> str:
    return _number(value) or ("" if value > 0 else "is not above 0")


def _count(value: Any) -> str:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    fits = whole and not isinstance(value, bool) and value >= 0
    return "" if fits else "is not a whole number from 0 up"


def _names(value: Any) -> str:
    if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        return "is not a list of names"
    return "" if len(set(value)) == len(value) else "has a name twice"


def _some_names(value: Any) -> str:
    return _names(value) or ("" if value else "is empty")


def _types(value: Any) -> str:
    names = [value] if isinstance(value, str) else value
    if not (isinstance(names, list) and names):
        return f"is not one of {', '.join(TYPES)}, or a list of them"
    unknown = [name for name in names if name not in TYPES]
    if unknown:
        return f"is not one of {', '.join(TYPES)}"
    return "" if len(set(names)) == len(names) else "has a type twice"


def _schemas(value: Any) -> str:
    if not isinstance(value, list):
        return "is not a list of schemas"
    return "" if value else "is an empty list"


def _schema(value: Any) -> str:
    return "" if isinstance(value, (dict, bool)) else "is not a schema"


def _schema_or_schemas(value: Any) -> str:
    return "" if isinstance(value, list) else _schema(value)


def _name_lists(value: Any) -> str:
    if not isinstance(value, dict):
        return "is not an object"
    return next(filter(None, map(_names, value.values())), "")


def _dependencies(value: Any) -> str:
    if not isinstance(value, dict):
        return "is not an object"
    lists = (inner for inner in value.values() if isinstance(inner, list))
    return next(filter(None, map(_names, lists)), "")


_text = partial(_is, str, "text")
_flag = partial(_is, bool, "true or false")
_object = partial(_is, dict, "an object")
_list = partial(_is, list, "a list")

_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(MAPS, _object),
    **dict.fromkeys(LISTS, _schemas),
    **dict.fromkeys(SINGLES, _schema),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _count),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _count),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _flag),
    **dict.fromkeys(("title", "description", "$comment", "format", "pattern"), _text),
    **dict.fromkeys(("$id", "$schema", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor"), _text),
    "type": _types,
    "enum": _list,
    "examples": _list,
    "required": _names,
    "multipleOf": _positive,
    "dependentRequired": _name_lists,
    "dependencies": _dependencies,
}


def _checks(draft: Draft) -> Mapping[str, Check]:
    if draft >= 2020:
        return _CHECKS
    checks = dict(_CHECKS) | {"items": _schema_or_schemas}
    if draft <= 4:
        checks |= {"exclusiveMinimum": _flag, "exclusiveMaximum": _flag}
        checks |= {"required": _some_names if draft == 4 else _flag}
    return checks
