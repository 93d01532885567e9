"""Where an answer ends: limits, end tokens, stop tokens and stop strings."""

import json
from typing import Any

import httpx
import pytest

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0, "max_tokens": 40}


def chat(url: str, model: str, **change: Any) -> dict[str, Any]:
    body = {"model": model, "messages": QUESTION} | GREEDY | change
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def text_of(reply: dict[str, Any]) -> str:
    return str(reply["choices"][0]["message"]["content"])


@pytest.mark.slow
def test_min_tokens_hold_back_the_end(server_url: str, model: str) -> None:
    short = chat(server_url, model)["usage"]["completion_tokens"]
    longer = chat(server_url, model, min_tokens=short + 5)["usage"]["completion_tokens"]
    assert short + 5 <= longer <= 40


@pytest.mark.slow
def test_min_tokens_hold_back_stop_strings(server_url: str, model: str) -> None:
    word = text_of(chat(server_url, model)).split()[0]
    assert text_of(chat(server_url, model, stop=word)) == ""
    assert text_of(chat(server_url, model, stop=word, min_tokens=8)).startswith(word)


def test_min_tokens_yield_to_a_complete_format(server_url: str, model: str) -> None:
    reply = chat(server_url, model, min_tokens=20, guided_choice=["yes", "no"])
    assert text_of(reply) in ("yes", "no")
    assert reply["choices"][0]["finish_reason"] == "stop"


def test_min_tokens_lengthen_an_open_format(server_url: str, model: str) -> None:
    reply = chat(server_url, model, min_tokens=12, guided_regex="[a-c]{1,30}")
    assert reply["usage"]["completion_tokens"] >= 12


@pytest.mark.slow
def test_ignore_eos_goes_on_to_the_limit(server_url: str, model: str) -> None:
    reply = chat(server_url, model, ignore_eos=True)
    assert reply["usage"]["completion_tokens"] == 40
    assert reply["choices"][0]["finish_reason"] == "length"


@pytest.mark.slow
def test_a_stop_token_is_left_out(server_url: str, model: str) -> None:
    plain = chat(server_url, model, logprobs=1)
    tokens = plain["choices"][0]["logprobs"]
    stopped = chat(server_url, model, stop_token_ids=[tokens["token_ids"][2]])
    assert text_of(stopped) == "".join(tokens["tokens"][:2])
    assert stopped["choices"][0]["finish_reason"] == "stop"


@pytest.mark.slow
def test_a_stop_token_is_kept_if_asked(server_url: str, model: str) -> None:
    tokens = chat(server_url, model, logprobs=1)["choices"][0]["logprobs"]
    change = {"stop_token_ids": [tokens["token_ids"][2]], "include_stop_str_in_output": True}
    assert text_of(chat(server_url, model, **change)) == "".join(tokens["tokens"][:3])


@pytest.mark.slow
def test_a_stop_token_ends_the_guarantee(server_url: str, model: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tokens = chat(server_url, model, guided_json=schema, logprobs=1)["choices"][0]["logprobs"]
    stop = {"guided_json": schema, "stop_token_ids": [tokens["token_ids"][3]]}
    assert "x_guarantee" not in chat(server_url, model, **stop)["choices"][0]


@pytest.mark.slow
def test_the_end_token_may_be_a_stop_token(server_url: str, model: str) -> None:
    plain = chat(server_url, model)
    assert text_of(chat(server_url, model, stop_token_ids=[2])) == text_of(plain)


@pytest.mark.slow
def test_a_stop_string_is_kept_if_asked(server_url: str, model: str) -> None:
    word = text_of(chat(server_url, model)).split()[1]
    cut = text_of(chat(server_url, model, stop=word))
    kept = text_of(chat(server_url, model, stop=word, include_stop_str_in_output=True))
    assert kept == cut + word


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("behavior", [None, "truncate"])
def test_a_limit_beyond_the_context_is_fitted(
    server_url: str, model: str, behavior: str | None, stream: bool
) -> None:
    body = {"model": model, "messages": QUESTION, "temperature": 0, "max_tokens": 5000}
    change = {"context_length_exceeded_behavior": behavior, "stream": stream}
    reply = httpx.post(f"{server_url}/v1/chat/completions", json=body | change, timeout=60)
    assert '"x_max_tokens":' in reply.text.replace(" ", "")


@pytest.mark.slow
def test_a_fitted_limit_is_the_room_left(server_url: str, model: str) -> None:
    reply = chat(server_url, model, max_tokens=5000)
    context = httpx.get(f"{server_url}/v1/models/{model}").json()["context_length"]
    room = context - reply["usage"]["prompt_tokens"]
    assert reply["choices"][0]["x_max_tokens"] == room


def test_a_limit_within_the_context_is_not_mentioned(server_url: str, model: str) -> None:
    reply = chat(server_url, model, context_length_exceeded_behavior="error")
    assert "x_max_tokens" not in reply["choices"][0]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_overflow_has_openais_words(server_url: str, model: str, stream: bool) -> None:
    messages = [{"role": "user", "content": "word " * 5000}]
    body = {"model": model, "messages": messages, "stream": stream}
    reply = httpx.post(f"{server_url}/v1/chat/completions", json=body, timeout=60)
    assert "this model's maximum context length is 2048 tokens" in reply.json()["error"]["message"]


def test_continuous_usage_counts_up(server_url: str, model: str) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {"model": model, "messages": QUESTION, "stream": True, "stream_options": options}
    reply = httpx.post(f"{server_url}/v1/chat/completions", json=body | GREEDY, timeout=60)
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    usages = [usage for line in lines[:-1] if (usage := json.loads(line).get("usage"))]
    counts = [usage["completion_tokens"] for usage in usages]
    assert len(counts) > 2
    assert counts == sorted(counts)
    assert len({usage["prompt_tokens"] for usage in usages}) == 1
