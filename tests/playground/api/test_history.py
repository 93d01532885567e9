"""Histories that servers of this kind hand out, and that clients send back, are accepted."""

from typing import Any

import httpx
import pytest

HELLO: dict[str, Any] = {"role": "user", "content": "What is the weather in Paris?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


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
    "reasoning": [{"role": "assistant", "content": "Hm.", "reasoning_content": "…"}, HELLO],
}


def ask(url: str, model: str, **body: object) -> httpx.Response:
    base = {"model": model, "temperature": 0, "max_tokens": 12}
    return httpx.post(f"{url}/v1/chat/completions", json=base | body)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("stream", [False, True])
def test_history_is_accepted_back(
    server_url: str, model: str, history: list[dict[str, Any]], stream: bool
) -> None:
    messages = [HELLO, *history]
    reply = ask(server_url, model, messages=messages, tools=[WEATHER], stream=stream)
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("max_tokens", range(1, 14))
def test_own_answer_is_accepted_back(server_url: str, model: str, max_tokens: int) -> None:
    """Wherever the limit cuts, the conversation goes on with what came back."""
    asked = {"messages": [HELLO], "tools": [WEATHER], "tool_choice": "required"}
    reply = ask(server_url, model, **asked, max_tokens=max_tokens)
    message = reply.json()["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
        for call in message.get("tool_calls") or ()
    ]
    messages = [HELLO, message, *results, *([] if results else [HELLO])]
    assert ask(server_url, model, messages=messages, tools=[WEATHER]).status_code == 200


def test_prefix_is_continued(server_url: str, model: str) -> None:
    """Mistral's ``prefix``: the answer goes on where the last message ends."""
    question = {"role": "user", "content": "What is the capital of Japan?"}
    whole = ask(server_url, model, messages=[question]).json()["choices"][0]["message"]["content"]
    begun = {"role": "assistant", "content": whole[:14], "prefix": True}
    rest = ask(server_url, model, messages=[question, begun])
    assert whole[:14] + rest.json()["choices"][0]["message"]["content"] == whole


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
