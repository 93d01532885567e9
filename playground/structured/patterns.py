r"""Regular expressions of a schema: those that a grammar takes, and matching of those it does not.

llguidance compiles regular languages: no look-around, no word boundaries, no backreferences. Text
is matched by `regex`, which knows what ECMA 262 has and `re` does not: ``\p{L}``, ``(?<name>…)``.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import regex
from llguidance import LLMatcher, LLParserLimits

MAX_MATCHED_CHARACTERS = 2_000
"""Characters of a pattern that is matched outside the grammar: compiling it is slow."""
TIMEOUT_S = 1.0
"""For all matches of one answer: a pattern may take exponential time."""
REASONS = (
    ("look-around", "look-around is not supported"),
    ("; Word", "word boundaries are not supported"),
    ("; Start", "^ is supported at the start only"),
    ("; End", "$ is supported at the end only"),
    ("backreference", "backreferences are not supported"),
    ("unrecognized escape sequence", "an escape sequence is not supported"),
)
LIMITS = LLParserLimits(max_grammar_size=100_000, initial_lexer_fuel=1_000_000)

_deadline: ContextVar[float] = ContextVar("_deadline", default=0.0)


@lru_cache(maxsize=4096)
def grammar_problem(pattern: str) -> str:
    """Why a grammar cannot hold the pattern; empty if it can, or if nothing matches it."""
    schema = json.dumps({"type": "string", "pattern": pattern})
    grammar = f"start: answer\nanswer: %json {schema}"
    problem = str(LLMatcher.validate_grammar(grammar, limits=LIMITS))
    if not problem or "nsatisfiable" in problem:
        return ""
    return next((reason for word, reason in REASONS if word in problem), regex_reason(problem))


def regex_reason(problem: str) -> str:
    """The reason in an error of Rust's regex parser, whose first lines draw the place."""
    lines = [line.strip() for line in problem.splitlines()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if errors:
        return errors[0]
    said = [line for line in lines if line and not line.endswith("parse error:")]
    return said[0][:200] if said else "a grammar cannot hold it"


@lru_cache(maxsize=4096)
def matching_problem(pattern: str) -> str:
    """Why text cannot be matched with the pattern either; empty if it can."""
    if len(pattern) > MAX_MATCHED_CHARACTERS:
        return f"it has {len(pattern):,} characters; {MAX_MATCHED_CHARACTERS:,} at most"
    try:
        regex.compile(pattern)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        return str(error)
    return ""


@contextmanager
def matching_time(seconds: float | None = None) -> Iterator[None]:
    """All `matches` within may take so long together."""
    token = _deadline.set(time.monotonic() + (TIMEOUT_S if seconds is None else seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches somewhere in the text, within `matching_time`.

    True for a pattern that only a grammar understands, which has held it then. Raises
    `TimeoutError`.
    """
    left = _deadline.get() - time.monotonic() if _deadline.get() else TIMEOUT_S
    if left <= 0:
        raise TimeoutError
    if matching_problem(pattern):
        return True
    return regex.search(pattern, text, timeout=left, concurrent=True) is not None
