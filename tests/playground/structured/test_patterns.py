"""Patterns: held by the grammar, matched afterwards, or refused with the reason."""

import re
from typing import Any

import pytest

from playground.errors import InvalidRequest
from playground.structured.fallback import MAX_MATCHED_PATTERNS
from playground.structured.patterns import MAX_MATCHED_CHARACTERS, matches, matching_time
from playground.structured.schema import compile_schema
from playground.structured.validation import first_error

EXPLOSIVE = r"^(?=.*c)(a|aa)+(?!a)$"


def compiled(pattern: str) -> Any:
    return compile_schema({"type": "object", "properties": {"a": text(pattern)}, "required": ["a"]})


def text(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern}


@pytest.mark.parametrize("pattern", [r"^\p{Lu}\p{L}*$", r"^(?<year>\d{4})-\d\d$", "^[a-z]+$"])
def test_regular_pattern_held_by_grammar(pattern: str) -> None:
    assert compiled(pattern).level == "strict"


@pytest.mark.parametrize(
    ("pattern", "fits", "breaks"),
    [
        (r"^(?!\.)[a-z.]+$", "a.b", ".ab"),
        (r"^(?<!x)a\b.*$", "a b", "ab"),
        (r"^(a|b)\1$", "aa", "ab"),
        (r"^ab\Z", "ab", "ac"),
        (r"^(?=.*\p{Lu}).+$", "äÄ", "ää"),
    ],
)
def test_other_pattern_is_checked_afterwards(pattern: str, fits: str, breaks: str) -> None:
    schema = compiled(pattern)
    assert schema.level == "patterns"
    assert schema.check(f'{{"a": "{fits}"}}') is None
    assert "$.a" in (schema.check(f'{{"a": "{breaks}"}}') or "")


def test_only_the_lost_pattern_is_dropped() -> None:
    schema = compile_schema({"anyOf": [text("^[0-9]+$"), text("^(?!a)")]})
    assert "[0-9]" in schema.rule
    assert "?!a" not in schema.rule


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "unclosed group"),
        ("[z-a]", "range"),
        ("^(?!x)" + "y" * MAX_MATCHED_CHARACTERS, "look-around is not supported; it has"),
        ("(?!x)(", "at position"),
    ],
)
def test_pattern_that_nothing_takes_refused(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=f"wrong at /properties/a/pattern: .*{reason}"):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("^(?!x)", "look-around is not supported"),
        (r"(a)\1", "backreferences are not supported"),
        ("a$b", "$ is supported at the end only"),
        (r"\bfoo", "word boundaries are not supported"),
        (r"a\Z", "an escape sequence is not supported"),
    ],
)
def test_strict_pattern_refused_with_reason(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(f"cannot be guaranteed ({reason})")):
        compile_schema(text(pattern), strict=True)


@pytest.mark.slow
def test_many_lost_patterns_are_refused() -> None:
    schema = {"anyOf": [text(f"^(?!{n})") for n in range(MAX_MATCHED_PATTERNS + 1)]}
    with pytest.raises(InvalidRequest, match="more than 100 patterns"):
        compile_schema(schema)


def test_lost_property_pattern_leaves_names_free() -> None:
    numbers = {"^(?!x)": {"type": "integer"}}
    schema = {"type": "object", "patternProperties": numbers, "additionalProperties": False}
    compiled = compile_schema(schema)
    assert compiled.level == "patterns"
    assert compiled.check('{"a": 1}') is None
    assert "xa" in (compiled.check('{"xa": 1}') or "")


def test_explosive_pattern_is_given_up() -> None:
    with matching_time(0.05), pytest.raises(TimeoutError):
        matches(EXPLOSIVE, "a" * 60 + "c")


def test_answer_that_takes_too_long_breaks_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.structured.patterns.TIMEOUT_S", 0.05)
    assert "took too long to match" in first_error(text(EXPLOSIVE), "a" * 60 + "c")


def test_unicode_names_are_matched() -> None:
    schema = {"patternProperties": {r"^\p{L}+$": {"type": "null"}}, "additionalProperties": False}
    assert first_error(schema, {"é": None}) == ""
    assert "1" in first_error(schema, {"1": None})
