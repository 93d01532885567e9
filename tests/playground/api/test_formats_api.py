"""Response formats of Together and vLLM: a regular expression, a choice of texts, a grammar."""

import json
import re
from typing import Any

import httpx
import openai
import pytest

from playground.errors import InvalidRequest
from playground.protocol import ResponseFormat, Tool
from playground.structured.formats import compile_format

DATE = r"20\d\d-[01]\d-[0-3]\d"
LARK = 'start: "the " COLOR\nCOLOR: "red" | "green"'
GBNF = 'root ::= "the " color\ncolor ::= "red" | "green"'
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def ask(url: str, model: str, endpoint: str, change: dict[str, Any]) -> dict[str, Any]:
    """The first choice of an answer, its text under ``text``."""
    prompt: dict[str, Any] = {"prompt": "A date:"}
    if endpoint == "chat/completions":
        prompt = {"messages": [{"role": "user", "content": "Which day is it?"}]}
    body = {"model": model, "temperature": 0, "max_tokens": 60} | prompt | change
    reply = httpx.post(f"{url}/v1/{endpoint}", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    choice = reply.json()["choices"][0]
    return {"text": choice["message"]["content"], **choice} if "message" in choice else choice


both = pytest.mark.parametrize("endpoint", ["chat/completions", "completions"])


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    ("change", "form"),
    [
        ({"guided_regex": DATE}, DATE),
        ({"guided_regex": f"^{DATE}$"}, DATE),
        ({"structured_outputs": {"regex": DATE}}, DATE),
        ({"response_format": {"type": "regex", "pattern": DATE}}, DATE),
        ({"guided_regex": "a/b"}, "a/b"),
        ({"guided_regex": r"a\/b\\"}, r"a/b\\"),
        ({"guided_regex": "a\nb"}, "a\nb"),
        ({"guided_regex": r"[\d.]{3}\s\w\D"}, r"[0-9.]{3}\s[A-Za-z0-9_][^0-9]"),
        ({"guided_choice": ["yes", 'no "really"', "yes\nno"]}, 'yes|no "really"|yes\nno'),
        ({"structured_outputs": {"choice": ["été", "hiver"]}}, "été|hiver"),
        ({"guided_grammar": LARK}, "the (red|green)"),
        ({"guided_grammar": GBNF}, "the (red|green)"),
        ({"structured_outputs": {"grammar": LARK}}, "the (red|green)"),
        ({"guided_json": SCHEMA}, r'\{"n": -?\d+\}'),
        ({"guided_json": json.dumps(SCHEMA)}, r'\{"n": -?\d+\}'),
        ({"structured_outputs": {"json": SCHEMA}}, r'\{"n": -?\d+\}'),
        ({"structured_outputs": {"json_object": True}}, r"\{.*\}?"),
    ],
)
def test_an_answer_has_its_format(
    server_url: str, model: str, endpoint: str, change: dict[str, Any], form: str
) -> None:
    choice = ask(server_url, model, endpoint, change)
    assert re.fullmatch(form, choice["text"], re.DOTALL), choice["text"]


@both
def test_a_pattern_has_a_guarantee(server_url: str, model: str, endpoint: str) -> None:
    choice = ask(server_url, model, endpoint, {"guided_regex": DATE})
    assert (choice["finish_reason"], choice["x_guarantee"]) == ("stop", "strict")


def test_a_cut_pattern_has_no_guarantee(server_url: str, model: str) -> None:
    change = {"guided_regex": "[ab]{200}", "max_tokens": 5}
    choice = ask(server_url, model, "chat/completions", change)
    assert choice["finish_reason"] == "length"
    assert "x_guarantee" not in choice


def test_a_pattern_goes_with_optional_tools(server_url: str, model: str) -> None:
    tool = {"type": "function", "function": {"name": "now"}}
    change = {"guided_choice": ["today", "tomorrow"], "tools": [tool]}
    choice = ask(server_url, model, "chat/completions", change)
    assert choice["text"] in ("today", "tomorrow") or choice["message"]["tool_calls"]


def test_a_grammar_does_not_go_with_tools() -> None:
    form = ResponseFormat(kind="grammar", pattern=LARK)
    with pytest.raises(InvalidRequest, match="combined with tools"):
        compile_format(form, [Tool("now")])


def test_openais_client_sends_them_as_extra_body(client: openai.OpenAI, model: str) -> None:
    reply = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Yes or no?"}],
        extra_body={"structured_outputs": {"choice": ["yes", "no"]}},
    )
    assert reply.choices[0].message.content in ("yes", "no")


@pytest.mark.parametrize("pattern", ["(", r"(?=a)b", r"(a)\1", "[z-a]"])
def test_a_regex_that_cannot_be_compiled_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest, match=r"the regex cannot be compiled: \w"):
        compile_format(ResponseFormat(kind="regex", pattern=pattern))


def test_a_pattern_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="65,537 characters"):
        compile_format(ResponseFormat(kind="regex", pattern="a" * 65_537))


def test_too_many_choices_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="1001 choices"):
        compile_format(ResponseFormat(kind="choice", choices=("a",) * 1001))


@pytest.mark.parametrize("grammar", ["start: start", "start: a\na: b\nb: a"])
def test_a_grammar_without_an_end_is_refused(grammar: str) -> None:
    with pytest.raises(InvalidRequest, match="no text matches it"):
        compile_format(ResponseFormat(kind="grammar", pattern=grammar))
