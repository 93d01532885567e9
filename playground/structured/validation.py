"""Validate a finished answer against the schema as it was given.

`jsonschema` does it, with patterns matched as in `playground.structured.patterns`.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validator_for

from playground.structured.patterns import matches, matching_time

SLOW = "took too long to match"


def first_error(schema: Mapping[str, Any], value: object) -> str:
    """The error that says most, with its JSON path; empty if the value fits."""
    worst = best_match(all_errors(schema, value))
    return f"{worst.json_path}: {worst.message[:200]}" if worst else ""


def all_errors(schema: Mapping[str, Any], value: object) -> list[ValidationError]:
    """All errors of the value. One says so where the schema cannot be applied to it."""
    kind = _extended(validator_for(schema, default=Draft202012Validator))
    # A subschema with "$schema" gets jsonschema's own validator; the root must not be one of them.
    validator = kind({key: inner for key, inner in schema.items() if key != "$schema"})
    errors: list[ValidationError] = []
    try:
        with matching_time():
            errors += validator.iter_errors(value)
    except RecursionError:
        errors.append(ValidationError("cannot be validated: the schema refers to itself"))
    except (re.error, TimeoutError) as error:
        errors.append(ValidationError(f"cannot be validated: {error or SLOW}"))
    return errors


@lru_cache
def _extended(kind: type[Validator]) -> Any:
    rules: dict[str, Any] = {"pattern": _pattern, "patternProperties": _pattern_properties}
    rules["additionalProperties"] = _additional_properties
    return extend(kind, rules)  # type: ignore[no-untyped-call]


def _pattern(
    validator: Any, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "string"):
        return
    assert isinstance(instance, str)
    try:
        if not matches(pattern, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")
    except TimeoutError:
        yield ValidationError(f"{instance!r} {SLOW} with {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: object, _schema: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        for name, value in instance.items():
            if matches(pattern, name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: Any, instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [
        name
        for name in instance
        if name not in properties and not any(matches(pattern, name) for pattern in patterns)
    ]
    if isinstance(allowed, dict):
        for name in extra:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and extra:
        names = ", ".join(map(repr, sorted(extra)))
        yield ValidationError(f"additional properties are not allowed: {names}")
