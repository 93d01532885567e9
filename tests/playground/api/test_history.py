"""Histories that servers of this kind hand out, and that clients send back, are accepted."""

from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HELLO: dict[str, Any] = {"role": "user", "content": "What is the weather in Paris?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
FRENCH: dict[str, Any] = {"role": "system", "content": "Answer in French."}
PARTS = [{"type": "text", "text": "sun"}, {"type": "text", "text": "rain", "cache_control": {}}]


def called(arguments: object, **extra: object) -> list[dict[str, Any]]:
    """A call with these arguments, and its result."""
    function = {"name": "get_weather", "arguments": arguments, **extra}
    call = {"id": "call_1", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny", "name": "get_weather"},
    ]


HISTORIES: dict[str, list[dict[str, Any]]] = {
    "empty answer": [{"role": "assistant", "content": "", "refusal": None}, HELLO],
    "null answer": [{"role": "assistant", "content": None}, HELLO],
    "refusal": [{"role": "assistant", "content": None, "refusal": "I may not."}, HELLO],
    "empty arguments": called(""),
    "arguments as object": called({"city": "Paris"}),
    "cut arguments": called('{"city": "Par'),
    "parsed arguments": called('{"city": "Paris"}', parsed_arguments={"city": "Paris"}),
    "parsed message": [{"role": "assistant", "content": "{}", "parsed": {}, "audio": None}, HELLO],
    "prefix false": [{"role": "assistant", "content": "Hm.", "prefix": False}, HELLO],
    "front end's fields": [{**HELLO, "id": "m1", "timestamp": 1, "cache_control": {}}],
    "system after answer": [{"role": "assistant", "content": "Hm."}, FRENCH, HELLO],
    "developer at the end": [{**FRENCH, "role": "developer"}],
    "system after results": [*called("{}"), FRENCH],
    "answer at the end": [{"role": "assistant", "content": "Hm."}],
    "call without result": [called("{}")[0], HELLO],
    "result without call": [called("{}")[1]],
    "result in parts": [called("{}")[0], called("{}")[1] | {"content": PARTS}],
    "two answers": [{"role": "assistant", "content": "Hm."}] * 2,
    "reasoning": [{"role": "assistant", "content": "Hm.", "reasoning_content": "…"}, HELLO],
}


def ask(url: str, model: str, **body: object) -> httpx.Response:
    base = {"model": model, "temperature": 0, "max_tokens": 12}
    return httpx.post(f"{url}/v1/chat/completions", json=base | body)


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("stream", [False, True])
def test_history_is_accepted_back(
    server_url: str, model: str, history: list[dict[str, Any]], stream: bool
) -> None:
    messages = [HELLO, *history]
    reply = ask(server_url, model, messages=messages, tools=[WEATHER], stream=stream)
    assert reply.status_code == 200, reply.text


def message_of(url: str, model: str, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    """The assistant's message, as the openai client puts it together."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        if stream:
            with client.chat.completions.stream(model=model, **body) as events:
                for _ in events:
                    pass
                choice = events.current_completion_snapshot.choices[0]
        else:
            choice = client.chat.completions.create(model=model, **body).choices[0]
    kept = {"role", "content", "tool_calls"}
    message: dict[str, Any] = {
        name: value for name, value in choice.message.to_dict().items() if value and name in kept
    }
    for call in message.get("tool_calls", ()):
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    return message | {"finish_reason": choice.finish_reason}


CALLING: dict[str, Any] = {
    "messages": [HELLO],
    "tools": [WEATHER],
    "tool_choice": "required",
    "temperature": 0,
}


@pytest.fixture(scope="module")
def complete(server_url: str, model: str) -> dict[str, Any]:
    """The call that no limit cuts."""
    return message_of(server_url, model, CALLING, stream=False)


@pytest.mark.slow
@pytest.mark.parametrize("max_tokens", range(1, 26))
def test_cut_calls_are_same_streamed(
    server_url: str, model: str, complete: dict[str, Any], max_tokens: int
) -> None:
    """And a call that the limit cut is never reported as finished."""
    body = CALLING | {"max_tokens": max_tokens}
    whole = message_of(server_url, model, body, stream=False)
    assert whole == message_of(server_url, model, body, stream=True)
    if whole["finish_reason"] == "tool_calls":
        assert whole == complete
    else:
        assert whole["finish_reason"] == "length"


@pytest.mark.slow
@settings(max_examples=16, deadline=None)
@given(
    max_tokens=st.integers(1, 30),
    stream=st.booleans(),
    asked=st.sampled_from([{}, CALLING, {"response_format": {"type": "json_object"}}]),
    seed=st.integers(0, 1000),
)
def test_own_words_are_accepted_back(
    server_url: str, model: str, max_tokens: int, stream: bool, asked: dict[str, Any], seed: int
) -> None:
    """Wherever the limit cuts, whole or streamed, the conversation goes on with what came back."""
    body = {**asked, "messages": [HELLO], "max_tokens": max_tokens, "seed": seed}
    message = message_of(server_url, model, {**body, "temperature": 1.0}, stream=stream)
    del message["finish_reason"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
        for call in message.get("tool_calls", ())
    ]
    for history in ([message, HELLO], [message, *results], [message]):
        reply = ask(server_url, model, messages=[HELLO, *history], tools=[WEATHER])
        assert reply.status_code == 200, reply.text


@pytest.mark.slow
def test_prefix_is_continued(server_url: str, model: str) -> None:
    """Mistral's ``prefix``: the answer goes on where the last message ends."""
    question = {"role": "user", "content": "What is the capital of Japan?"}
    whole = ask(server_url, model, messages=[question]).json()["choices"][0]["message"]["content"]
    begun = {"role": "assistant", "content": whole[:14], "prefix": True}
    rest = ask(server_url, model, messages=[question, begun])
    assert whole[:14] + rest.json()["choices"][0]["message"]["content"] == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"tool_choice": "any"}, {"tool_choice": "required"}),
        ({"random_seed": 3, "temperature": 1}, {"seed": 3, "temperature": 1}),
        ({"top_k": -1, "temperature": 1, "seed": 3}, {"temperature": 1, "seed": 3}),
    ],
)
def test_dialects_mean_the_same(
    server_url: str, model: str, theirs: dict[str, object], ours: dict[str, object]
) -> None:
    replies = [
        ask(server_url, model, messages=[HELLO], tools=[WEATHER], **words).json()["choices"]
        for words in (theirs, ours)
    ]
    for reply in replies:
        for call in reply[0]["message"].get("tool_calls") or ():
            call["id"] = ""
    assert replies[0] == replies[1]


@pytest.mark.slow
def test_answer_at_end_is_answered(server_url: str, model: str) -> None:
    """Not continued: the answer begins a turn of its own."""
    question = {"role": "user", "content": "What is the capital of Japan?"}
    begun = {"role": "assistant", "content": "The capital of Japan"}
    replies = [
        ask(server_url, model, messages=[question, begun | extra]).json()["choices"][0]["message"]
        for extra in ({}, {"prefix": True})
    ]
    assert replies[0]["content"][:1].isupper()
    assert replies[1]["content"].startswith(" is")
