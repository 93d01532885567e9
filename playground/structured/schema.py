"""JSON mode: from a JSON schema to a grammar, and what that grammar guarantees.

llguidance refuses what it cannot guarantee. So a schema is compiled at the first of several
fallback levels that works, and below the first one the finished answer is validated against the
schema as it was given.
Knows no engine and no HTTP.
"""

import copy
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import validator_for
from llguidance import LLMatcher, LLParserLimits

from playground.errors import InvalidRequest

LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Fixed white space, as in training data: with free white space an answer can run on to its token
limit."""
MAX_SCHEMA_CHARACTERS = 512 * 1024
"""Characters of the schema as JSON."""
MAX_SCHEMA_DEPTH = 64
CACHE_SIZE = 256
LOCATE_TIMEOUT_S = 0.1
KNOWN_FORMATS = frozenset(
    "date-time time date duration email hostname ipv4 ipv6 uuid uri".split()  # noqa: SIM905
)
LIMITS = LLParserLimits(max_grammar_size=2_000_000, initial_lexer_fuel=5_000_000)
Level = Literal["strict", "formats", "one_of", "lenient"]
"""Fallback levels: the schema as it is; without unknown formats; with oneOf as anyOf; without
anything that llguidance does not understand."""


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema as a grammar: ``rule`` is one value of it, compiled at the fallback ``level``."""

    schema: Mapping[str, Any]
    rule: str
    level: Level

    @property
    def needs_check(self) -> bool:
        """Whether the grammar does not guarantee the schema by itself."""
        return self.level != "strict"

    @property
    def grammar(self) -> str:
        """The grammar of an answer that is one value of this schema."""
        return f"start: answer\nanswer: {self.rule}"

    def check(self, text: str) -> str | None:
        """Validate an answer: the first error with its place, or None."""
        try:
            value = json.loads(text)
        except ValueError as error:
            return f"not JSON: {error}"
        validator = validator_for(self.schema, default=Draft202012Validator)(self.schema)
        worst: ValidationError | None = best_match(validator.iter_errors(value))
        return f"{worst.json_path}: {worst.message[:200]}" if worst else None


def compile_schema(schema: Mapping[str, Any], field: str = "response_format") -> CompiledSchema:
    """Compile the schema at the strictest fallback level that works.

    Raises `InvalidRequest` with the JSON pointer of what is wrong: no schema, too large, or not
    satisfiable.
    """
    text = json.dumps(schema)
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            field, f"the schema has {len(text):,} characters; {MAX_SCHEMA_CHARACTERS:,} at most"
        )
    result = _compile(text)
    if isinstance(result, str):
        raise InvalidRequest(field, result)
    return result


@lru_cache(maxsize=CACHE_SIZE)
def _compile(text: str) -> CompiledSchema | str:
    """Cached by schema text; returns an error message on failure."""
    schema = json.loads(text)
    if not isinstance(schema, dict):
        return "the schema must be a JSON object"
    if _depth(schema) > MAX_SCHEMA_DEPTH:
        return f"the schema is nested more than {MAX_SCHEMA_DEPTH} deep"
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        pointer = "".join(f"/{part}" for part in error.absolute_path) or "/"
        return f"the schema is wrong at {pointer}: {error.message[:200]}"
    refused = ""
    for level, changed, options in _fallback_levels(schema):
        problem = _problem(changed, options)
        if not problem:
            rule = "%json " + json.dumps(changed | {"x-guidance": {**LAYOUT, **options}})
            return CompiledSchema(schema, rule, level)
        refused = refused or problem
        if "nsatisfiable" in problem:
            break
    return f"the schema cannot be compiled to a grammar at {_place(schema)}: {_reason(refused)}"


def _problem(schema: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    rule = "%json " + json.dumps({**schema, "x-guidance": {**LAYOUT, **options}})
    return str(LLMatcher.validate_grammar(f"start: answer\nanswer: {rule}", limits=LIMITS))


def _place(schema: dict[str, Any]) -> str:
    """JSON pointer of the innermost part that is refused by itself, if found in time."""
    until = time.monotonic() + LOCATE_TIMEOUT_S
    shared: dict[str, Any] = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    place, part = "", schema
    looking = True
    while looking:
        looking = False
        for pointer, inner in _parts(part):
            if time.monotonic() > until:
                break
            if _problem({**shared, **inner}, {"coerce_one_of": True, "lenient": True}):
                place, part, looking = place + pointer, inner, True
                break
    return place or "/"


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas directly within a schema, with their JSON pointers."""
    inside: Iterable[tuple[Any, Any]]
    for key, child in schema.items():
        if key in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
            inside = child.items() if isinstance(child, dict) else ()
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            inside = enumerate(child) if isinstance(child, list) else ()
        elif key in ("items", "additionalProperties", "contains"):
            inside = ((None, child),)
        else:
            continue
        for name, value in inside:
            if isinstance(value, dict):
                step = "" if name is None else "/" + str(name).replace("~", "~0").replace("/", "~1")
                yield f"/{key}{step}", value


def _fallback_levels(
    schema: dict[str, Any],
) -> Iterator[tuple[Level, dict[str, Any], dict[str, Any]]]:
    """The schema at each level, with the options that llguidance compiles it with."""
    closed = copy.deepcopy(schema)
    _close_objects(closed)
    yield "strict", closed, {}
    plain = copy.deepcopy(closed)
    _drop_unknown_formats(plain)
    yield "formats", plain, {}
    yield "one_of", plain, {"coerce_one_of": True}
    yield "lenient", plain, {"coerce_one_of": True, "lenient": True}


def _close_objects(node: Any) -> None:
    """Forbid additional properties where properties are listed and others are not mentioned.

    Answers stay valid, and the model cannot invent fields.
    """
    if isinstance(node, dict):
        properties = node.get("properties")
        composed = {"allOf", "anyOf", "oneOf", "$ref", "patternProperties", "if", "not"} & set(node)
        listed = isinstance(properties, dict) and set(node.get("required", ())) <= set(properties)
        if properties and listed and not composed:
            node.setdefault("additionalProperties", False)
        for key, child in node.items():
            if key not in ("enum", "const", "default", "examples", "allOf"):
                _close_objects(child)
    elif isinstance(node, list):
        for child in node:
            _close_objects(child)


def _drop_unknown_formats(node: Any) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("format"), str) and node["format"] not in KNOWN_FORMATS:
            del node["format"]
        for key, child in node.items():
            if key not in ("enum", "const", "default", "examples"):
                _drop_unknown_formats(child)
    elif isinstance(node, list):
        for child in node:
            _drop_unknown_formats(child)


def _depth(node: Any) -> int:
    """Nesting depth of a value, counted without recursion: it may be deeper than Python's stack."""
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        value, depth = waiting.pop()
        deepest = max(deepest, depth)
        children = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list)) and depth <= MAX_SCHEMA_DEPTH:
            waiting += [(child, depth + 1) for child in children]
    return deepest


def _reason(problem: str) -> str:
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    reason = lines[0] if lines else "unknown reason"
    return reason.partition("failed to compile JSON schema: ")[2][:300] or reason[:300]
