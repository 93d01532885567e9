"""Parameters that vLLM's, Together's and Mistral's users send."""

from collections.abc import Iterator
from typing import Any

from benchmarks.cases.case import Case, Check, Outcome, answered, ends, refused, status
from benchmarks.cases.requests import HELLO, MODEL, WEATHER, body, function, object_schema


def parameters() -> Iterator[Case]:
    taken: dict[str, dict[str, Any]] = {
        "tool_choice any": {"tools": [WEATHER], "tool_choice": "any"},
        "random_seed": {"random_seed": 3, "temperature": 1},
        "safe_prompt false": {"safe_prompt": False},
        "top_k -1": {"top_k": -1},
        "min_tokens": {"min_tokens": 3},
        "ignore_eos": {"ignore_eos": True},
        "stop_token_ids": {"stop_token_ids": [5]},
        "usage in every chunk": {
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        },
        "max_tokens over the context": {"max_tokens": 100_000, "stop": ["."]},
        "truncate": {
            "max_tokens": 100_000,
            "context_length_exceeded_behavior": "truncate",
            "stop": ["."],
        },
        "guided_json": {"guided_json": object_schema(a={"type": "boolean"}), "max_tokens": 60},
        "guided_regex": {"guided_regex": "[0-9]{3}"},
        "guided_choice": {"guided_choice": ["yes", "no"]},
        "structured_outputs": {"structured_outputs": {"choice": ["yes", "no"]}},
        "Together's regex": {"response_format": {"type": "regex", "pattern": "(yes|no)"}},
        "empty template arguments": {"chat_template_kwargs": {}},
        "user's name": {"messages": [{**HELLO, "name": "Ann"}]},
        "null everywhere": {"stop": None, "seed": None, "tools": None, "logprobs": None},
    }
    for name, fields in taken.items():
        yield Case("parameter", name, body(**fields), (answered,))
    exact: dict[str, tuple[dict[str, Any], Check]] = {
        "guided_choice holds": ({"guided_choice": ["yes", "no"]}, _one_of("yes", "no")),
        "guided_regex holds": ({"guided_regex": "[0-9]{3}"}, _digits),
        "regex format holds": (
            {"response_format": {"type": "regex", "pattern": "[0-9]{3}"}},
            _digits,
        ),
        "ignore_eos goes on": ({"ignore_eos": True, "max_tokens": 40}, ends("length")),
        "min_tokens holds": ({"min_tokens": 30, "max_tokens": 40}, _at_least(30)),
    }
    for name, (fields, check) in exact.items():
        yield Case("parameter", name, body(**fields), (answered, check))
    over = {"max_tokens": 100_000, "context_length_exceeded_behavior": "error"}
    yield Case("parameter", "error over the context", body(**over), (status(400),))
    long = [{"role": "user", "content": "word " * 5000}]
    yield Case(
        "parameter", "prompt over the context", body(messages=long), (status(400), _overflow)
    )
    wrong: dict[str, tuple[dict[str, Any], str]] = {
        "tool_choice": ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
        "flat tool_choice": (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "get_weather"}},
            "tool_choice",
        ),
        "role": ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        "unknown field": ({"foo": 1}, "foo"),
        "negative max_tokens": ({"max_tokens": -1}, "max_tokens"),
        "temperature": ({"temperature": 9}, "temperature"),
        "tool's name": ({"tools": [function("a.b", {})]}, "tools[0].function.name"),
    }
    for name, (fields, param) in wrong.items():
        yield Case("parameter", f"wrong {name}", body(**fields), (refused(param),))
    raw = {"model": MODEL, "prompt": "Paris is", "max_tokens": 1, "echo": True, "logprobs": 1}
    yield Case(
        "parameter", "echo with logprobs", raw, (answered, _prompt_scores), path="/v1/completions"
    )


def _one_of(*texts: str) -> Check:
    def check(got: Outcome) -> str:
        text = got.message.get("content")
        return "" if text in texts else f"{text!r}"

    return check


def _digits(got: Outcome) -> str:
    text = got.message.get("content") or ""
    return "" if len(text) == 3 and text.isdigit() else f"{text!r}"


def _at_least(tokens: int) -> Check:
    def check(got: Outcome) -> str:
        made = got.body["usage"]["completion_tokens"]
        return "" if made >= tokens else f"{made} tokens"

    return check


def _overflow(got: Outcome) -> str:
    """The words by which LiteLLM and LangChain tell it from other errors."""
    said = f"{got.error.get('code')}: {got.error.get('message')}"
    words = ("context_length_exceeded", "maximum context length is")
    return "" if all(word in said for word in words) else said


def _prompt_scores(got: Outcome) -> str:
    scores = got.choice["logprobs"]["token_logprobs"]
    right = scores[0] is None and all(score <= 0 for score in scores[1:])
    return "" if right and len(scores) > 2 else f"{scores}"
