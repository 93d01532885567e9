"""Response formats other than a JSON schema: a regular expression, a choice of texts, a grammar.

The answer cannot break any of them, so that nothing has to be checked. Knows no engine and no HTTP.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from llguidance import LLMatcher, LLTokenizer
from llguidance.gbnf_to_lark import any_to_lark

from playground.errors import InvalidRequest
from playground.protocol import ResponseFormat, Tool
from playground.structured.schema import LIMITS, CompiledSchema, compile_schema

MAX_PATTERN_CHARACTERS = 64 * 1024
MAX_CHOICES = 1000
FIELD = "response_format"
REGEX_TOKEN = re.compile(r"\\.|\[\^?\]?|.", re.DOTALL)
"""An escape, the beginning of a class, or a character."""
ASCII_CLASSES = {r"\d": "0-9", r"\w": "A-Za-z0-9_", r"\s": r" \t\n\r\f\v"}
ESCAPED = {"/": r"\/", "\n": r"\n"}


@dataclass(frozen=True, slots=True)
class CompiledPattern:
    """A format as llguidance's Lark: ``rule`` is one answer, "" for a whole ``grammar``."""

    rule: str
    grammar: str

    @property
    def needs_check(self) -> bool:
        """Never: the grammar guarantees the format."""
        return False

    def check(self, text: str) -> str | None:  # noqa: ARG002 - as `CompiledSchema` has it
        """Return no problem; see `needs_check`."""
        return None


CompiledFormat = CompiledSchema | CompiledPattern


def compile_format(form: ResponseFormat, tools: Sequence[Tool] = ()) -> CompiledFormat:
    """Compile what an answer beside calls of ``tools`` is to be like.

    Raises `InvalidRequest` with the reason for what cannot be compiled.
    """
    if form.kind == "schema":
        return compile_schema(form.schema, strict=form.strict)
    if form.kind == "grammar" and tools:
        raise InvalidRequest(FIELD, "a grammar of your own cannot be combined with tools")
    if len(form.pattern) > MAX_PATTERN_CHARACTERS:
        count = f"{len(form.pattern):,} characters; {MAX_PATTERN_CHARACTERS:,} at most"
        raise InvalidRequest(FIELD, count)
    if form.kind == "choice":
        compiled = _of_rule(_choice(form.choices))
    elif form.kind == "regex":
        compiled = _of_rule(_regex(form.pattern))
    else:
        compiled = CompiledPattern("", _lark(form.pattern))
    problem = _problem(compiled.grammar)
    if problem:
        raise InvalidRequest(FIELD, f"the {form.kind} cannot be compiled: {problem}")
    return compiled


def _of_rule(rule: str) -> CompiledPattern:
    return CompiledPattern(rule, f"start: answer\nanswer: {rule}")


def _choice(choices: Sequence[str]) -> str:
    if not choices or not all(choices):
        raise InvalidRequest(FIELD, "a choice needs at least one text, and none that is empty")
    if len(choices) > MAX_CHOICES:
        raise InvalidRequest(FIELD, f"{len(choices)} choices; {MAX_CHOICES} at most")
    return " | ".join(json.dumps(text, ensure_ascii=False) for text in choices)


def _regex(pattern: str) -> str:
    """The expression as a terminal of Lark. It matches as a whole, so that anchors around it say
    nothing more.
    """
    pattern = pattern.removeprefix("^")
    backslashes = len(pattern) - 1 - len(pattern[:-1].rstrip("\\"))
    if pattern.endswith("$") and backslashes % 2 == 0:
        pattern = pattern[:-1]
    if not pattern:
        raise InvalidRequest(FIELD, "the regex is empty")
    return f"/{''.join(_as_lark(pattern))}/"


def _as_lark(pattern: str) -> Iterator[str]:
    """The expression as Lark writes it, its classes in ASCII: those of Unicode, which Rust's are,
    have digits that nobody means.
    """
    in_class = False
    for token in REGEX_TOKEN.findall(pattern):
        characters = ASCII_CLASSES.get(token.lower())
        if characters and not in_class:
            yield f"[{'^' if token[1].isupper() else ''}{characters}]"
        elif characters and token[1].islower():
            yield characters
        else:
            yield ESCAPED.get(token, token)
        in_class = token.startswith("[") or (in_class and token != "]")


def _lark(grammar: str) -> str:
    """The grammar in Lark; one in GBNF (``root ::= …``) is rewritten."""
    try:
        return str(any_to_lark(grammar))
    except Exception as error:
        raise InvalidRequest(FIELD, f"the grammar cannot be read: {error}") from error


@lru_cache(maxsize=256)
def _problem(grammar: str) -> str:
    """What llguidance has against the grammar, or that no text matches it; "" for nothing."""
    problem = str(LLMatcher.validate_grammar(grammar, limits=LIMITS))
    if not problem:
        matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():  # it names control tokens, which bytes do not have
            return ""
        matcher.compute_bitmask()
        return "no text matches it" if matcher.is_error() else ""
    lines = [line.strip() for line in problem.splitlines() if line.strip()]
    return " ".join(lines)[:300]
