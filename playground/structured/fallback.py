"""Fallback levels: what of a schema is left for the grammar where llguidance refuses all of it.

Each level is weaker than the one before; below the first one, ``strict``, the finished answer is
validated against the schema as it was given.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from playground.structured.exclusive import are_exclusive
from playground.structured.keywords import Schema, draft_of, rebuilt, walk
from playground.structured.patterns import grammar_problem, matching_problem

Level = Literal["strict", "formats", "patterns", "one_of", "lenient"]
"""``strict``: the schema, but for what only describes, and oneOf as anyOf where that is the same.
``formats``: without unknown formats. ``patterns``: also without the patterns that no grammar holds.
``one_of``: also with oneOf as anyOf everywhere. ``lenient``: also without anything that llguidance
does not understand."""
KNOWN_FORMATS = frozenset(
    "date-time time date duration email hostname ipv4 ipv6 uuid uri".split()  # noqa: SIM905
)
ANNOTATING_FORMATS = frozenset(
    "binary byte char double file-path directory-path float int8 int16 int32 int64 "  # noqa: SIM905
    "multi-line password path textarea uint8 uint16 uint32 uint64".split()
)
"""Formats of OpenAPI and pydantic that allow any text or number of their type."""
ASSERTIONS = frozenset(
    "$anchor $defs $dynamicAnchor $dynamicRef $id $recursiveAnchor $recursiveRef $ref "  # noqa: SIM905
    "$schema additionalItems additionalProperties allOf anyOf const contains definitions "
    "dependencies dependentRequired dependentSchemas else enum exclusiveMaximum exclusiveMinimum "
    "format if items maxContains maxItems maxLength maxProperties maximum minContains minItems "
    "minLength minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems "
    "properties propertyNames required then type unevaluatedItems unevaluatedProperties "
    "uniqueItems".split()
)
"""Keywords that may make a value wrong; all others only describe."""
COMPOSED = frozenset({"allOf", "anyOf", "oneOf", "$ref", "patternProperties", "if", "not"})
PARTS = frozenset({"allOf", "contains", "dependentSchemas", "else", "if", "not", "then"})
"""Keywords whose schemas hold for a part of the value that another one holds for too."""
UNIMPLEMENTED = re.compile(r'Unimplemented keys: \["([^"]+)"')
MAX_MATCHED_PATTERNS = 100
"""Different patterns of a schema that are matched outside the grammar."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A schema at a level, with the options that llguidance compiles it with."""

    level: Level
    schema: Schema
    options: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loss:
    """A keyword that the grammar does not hold: the JSON pointer of its schema, and the reason."""

    pointer: str
    keyword: str
    reason: str

    def __str__(self) -> str:
        return f"{self.keyword} at {self.pointer or '/'} cannot be guaranteed ({self.reason})"


def attempts(schema: Schema) -> Iterator[Attempt]:
    """The schema at each level, but for those at which it is the same as before."""
    current = _asserting(schema)
    yield Attempt("strict", current)
    if _unknown_format(current) is not None:
        current = rebuilt(current, _without_unknown_format)
        yield Attempt("formats", current)
    if next(_lost_patterns(current), None):
        current = rebuilt(current, partial(_without_patterns, lost_only=True))
        yield Attempt("patterns", current)
    one_of = {"coerce_one_of": True}
    yield Attempt("one_of", current, one_of)
    lenient = {**one_of, "lenient": True}
    yield Attempt("lenient", current, lenient)
    # Patterns that hold alone may be too much together, or with a length.
    yield Attempt("lenient", rebuilt(current, partial(_without_patterns, lost_only=False)), lenient)


def unmatchable(schema: Schema) -> str:
    """What is wrong with a pattern that neither a grammar nor `regex` takes, with its place."""
    lost = list(_lost_patterns(schema))
    for where, pattern in lost:
        problem = matching_problem(pattern)
        if problem:
            text = pattern if len(pattern) <= 100 else pattern[:100] + "…"
            place = f"{where.pointer}/{where.keyword}"
            return f"the schema is wrong at {place}: {text!r}: {where.reason}; {problem}"
    if len({pattern for _, pattern in lost}) > MAX_MATCHED_PATTERNS:
        return f"more than {MAX_MATCHED_PATTERNS} patterns that no grammar holds: {lost[0][0]}"
    return ""


def loss(schema: Schema, level: Level, refused: str) -> Loss:
    """What the level does not hold first; ``refused`` is llguidance's reason against the level
    before.
    """
    found = None
    if level == "formats":
        found = _unknown_format(schema)
    elif level == "patterns":
        found = next((where for where, _ in _lost_patterns(schema)), None)
    else:
        named = UNIMPLEMENTED.search(refused)
        keyword = named[1] if named else "oneOf" if "oneOf" in refused else ""
        places = (pointer for pointer, node in walk(schema) if keyword in node)
        place = next(places, None) if keyword else None
        if place is not None:
            found = Loss(place, keyword, "no grammar holds it" if named else first_line(refused))
    return found or Loss("", "the schema", first_line(refused))


def first_line(problem: str) -> str:
    """llguidance's reason in one line."""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    reason = lines[0] if lines else "unknown reason"
    return reason.partition("failed to compile JSON schema: ")[2][:300] or reason[:300]


def _asserting(schema: Schema) -> Schema:
    """The schema without what only describes, and with its objects closed."""
    kept = ASSERTIONS | _referred_names(schema) | ({"id"} if draft_of(schema) <= 4 else set())

    def change(node: Schema) -> Schema:
        rules = {key: value for key, value in node.items() if key in kept and not _idle(key, value)}
        if "oneOf" in rules and "anyOf" not in rules and are_exclusive(rules["oneOf"], schema):
            rules["anyOf"] = rules.pop("oneOf")
        return rules

    return rebuilt(rebuilt(schema, change), _close, partial(_open_parts, _joins(schema)))


def _idle(key: str, value: Any) -> bool:
    """Whether a keyword with this value allows everything."""
    if key == "format":
        return value in ANNOTATING_FORMATS
    if key == "uniqueItems":
        return value is False
    return key == "propertyNames" and value in (True, {}, {"type": "string"})


def _referred_names(schema: Schema) -> set[str]:
    """The steps of all references: a schema may stand under any name."""
    references = [node["$ref"] for _, node in walk(schema) if "$ref" in node]
    return {step for reference in references for step in reference.split("/")}


def _close(node: Schema) -> Schema:
    """Forbid other properties where properties are listed and others are not mentioned.

    Answers stay valid, and the model cannot invent fields.
    """
    properties = node.get("properties")
    if properties and not COMPOSED & set(node) and set(node.get("required", ())) <= set(properties):
        node.setdefault("additionalProperties", False)
    return node


def _open_parts(joins: bool, node: Schema) -> Set[str]:
    """The keywords below which objects stay open: their values have other properties too."""
    choices = {"anyOf", "oneOf"} if "properties" in node else set()
    return PARTS | choices | ({"$defs", "definitions"} if joins else set())


def _joins(schema: Schema) -> bool:
    """Whether an object is put together of parts that are referred to."""
    for _, node in walk(schema):
        parts = [*node.get("allOf", ())]
        if "properties" in node:
            parts += [*node.get("anyOf", ()), *node.get("oneOf", ()), node]
        refers = any(isinstance(part, dict) and "$ref" in part for part in parts)
        if refers and ("properties" in node or len(parts) > 1):
            return True
    return False


def _unknown_format(schema: Schema) -> Loss | None:
    for pointer, node in walk(schema):
        name = node.get("format", "date")
        if name not in KNOWN_FORMATS | ANNOTATING_FORMATS:
            return Loss(
                pointer, "format", f"{name!r} is none of {', '.join(sorted(KNOWN_FORMATS))}"
            )
    return None


def _without_unknown_format(node: Schema) -> Schema:
    if node.get("format", "date") not in KNOWN_FORMATS:
        del node["format"]
    return node


def _lost_patterns(schema: Schema) -> Iterator[tuple[Loss, str]]:
    """The patterns that no grammar holds."""
    for pointer, node in walk(schema):
        named = [("pattern", node["pattern"])] if "pattern" in node else []
        named += [("patternProperties", name) for name in node.get("patternProperties", ())]
        for keyword, pattern in named:
            reason = grammar_problem(pattern)
            if reason:
                yield Loss(pointer, keyword, reason), pattern


def _without_patterns(node: Schema, *, lost_only: bool) -> Schema:
    """Drop patterns. Properties whose names a dropped pattern matched may have any name."""
    if "pattern" in node and (not lost_only or grammar_problem(node["pattern"])):
        del node["pattern"]
    named = node.get("patternProperties", {})
    dropped = [name for name in named if not lost_only or grammar_problem(name)]
    if dropped:
        node["patternProperties"] = {
            name: inner for name, inner in named.items() if name not in dropped
        }
        others = node.get("additionalProperties", True)
        if others is not True:
            choices = [named[name] for name in dropped]
            choices += [others] if others is not False else []
            node["additionalProperties"] = choices[0] if len(choices) == 1 else {"anyOf": choices}
    return node
