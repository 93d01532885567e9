"""JSON mode: from a JSON schema to a grammar, and what that grammar guarantees.

llguidance refuses what it cannot guarantee. So a schema is compiled at the first of several
fallback levels that works (`playground.structured.fallback`), and below the first one the finished
answer is validated against the schema as it was given.
Knows no engine and no HTTP.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llguidance import LLMatcher, LLParserLimits

from playground.errors import InvalidRequest
from playground.structured.fallback import Level, Loss, attempts, first_line, loss, unmatchable
from playground.structured.keywords import Schema, depth, first_problem, is_longer, subschemas
from playground.structured.patterns import regex_reason
from playground.structured.recursion import check_recursion
from playground.structured.validation import first_error

LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Fixed white space, as in training data: with free white space an answer can run on to its token
limit."""
MAX_SCHEMA_CHARACTERS = 512 * 1024
"""Characters of a request's schema as JSON; of all its tools' schemas together."""
MAX_SCHEMA_DEPTH = 64
CACHE_SIZE = 256
LOCATE_TIMEOUT_S = 0.1
LIMITS = LLParserLimits(max_grammar_size=2_000_000, initial_lexer_fuel=5_000_000)


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema as a grammar: ``rule`` is one value of it, compiled at the fallback ``level``.

    ``refused`` is llguidance's reason against the level before; ``characters`` are the schema's.
    """

    schema: Mapping[str, Any]
    rule: str
    level: Level
    refused: str = ""
    characters: int = 0

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
        return first_error(self.schema, value) or None

    def loss(self) -> Loss | None:
        """The first keyword that the grammar does not guarantee."""
        return loss(dict(self.schema), self.level, self.refused) if self.needs_check else None


def compile_schema(
    schema: Mapping[str, Any], field: str = "response_format", *, strict: bool = False
) -> CompiledSchema:
    """Compile the schema at the strictest fallback level that works.

    Raises `InvalidRequest` with the JSON pointer of what is wrong: no schema, too large, not
    satisfiable, endless, or, if it is to be ``strict``, not to be guaranteed by a grammar.
    """
    text = "" if is_longer(schema, MAX_SCHEMA_CHARACTERS) else json.dumps(schema)
    if not text or len(text) > MAX_SCHEMA_CHARACTERS:
        raise InvalidRequest(
            field, f"the schema has more than {MAX_SCHEMA_CHARACTERS:,} characters"
        )
    result = _compile(text)
    if isinstance(result, str):
        raise InvalidRequest(field, result)
    lost = result.loss() if strict else None
    if lost:
        raise InvalidRequest(
            field, f"strict: {lost}; without strict the finished answer is checked instead"
        )
    return result


@lru_cache(maxsize=CACHE_SIZE)
def _compile(text: str) -> CompiledSchema | str:
    """Cached by schema text; returns an error message on failure."""
    schema = json.loads(text)
    problem = _malformed(schema, text)
    if problem:
        return problem
    refused = before = ""
    for attempt in attempts(schema):
        problem = _problem(attempt.schema, attempt.options)
        if not problem:
            rule = _rule(attempt.schema, attempt.options)
            return CompiledSchema(schema, rule, attempt.level, before, len(text))
        if not refused:  # only then are the patterns looked at one by one
            refused = unmatchable(schema)
            if refused:
                return refused
        refused, before = refused or problem, problem
        if "nsatisfiable" in problem:
            break
    return f"the schema cannot be compiled to a grammar at {_place(schema)}: {_reason(refused)}"


def _malformed(schema: object, text: str) -> str:
    """What is wrong with the schema whatever the grammar; empty if nothing is."""
    if not isinstance(schema, dict):
        return "the schema must be a JSON object"
    if depth(schema, MAX_SCHEMA_DEPTH) > MAX_SCHEMA_DEPTH:
        return f"the schema is nested more than {MAX_SCHEMA_DEPTH} deep"
    problem = first_problem(schema)
    if not problem and '"$ref"' in text:
        try:
            check_recursion(schema, "")
        except InvalidRequest as error:
            return error.problem
    return problem


def _rule(schema: Schema, options: Mapping[str, Any]) -> str:
    return "%json " + json.dumps({**schema, "x-guidance": {**LAYOUT, **options}})


def _problem(schema: Schema, options: Mapping[str, Any]) -> str:
    grammar = f"start: answer\nanswer: {_rule(schema, options)}"
    return str(LLMatcher.validate_grammar(grammar, limits=LIMITS))


def _place(schema: Schema) -> str:
    """JSON pointer of the innermost part that is refused by itself, if found in time."""
    until = time.monotonic() + LOCATE_TIMEOUT_S
    shared: Schema = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    place, part = "", schema
    looking = True
    while looking:
        looking = False
        for pointer, inner in subschemas(part):
            if time.monotonic() > until:
                break
            if not isinstance(inner, dict):
                continue
            if _problem({**shared, **inner}, {"coerce_one_of": True, "lenient": True}):
                place, part, looking = place + pointer, inner, True
                break
    return place or "/"


def _reason(problem: str) -> str:
    return regex_reason(problem) if "regex parse error" in problem else first_line(problem)
