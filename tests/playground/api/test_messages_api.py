"""Anthropic's ``/v1/messages`` over the embedded model, as its clients send and read it."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from playground.backends.scripted import ScriptedBackend
from playground.protocol import Request

HELLO: list[Any] = [{"role": "user", "content": "Hello! Who are you?"}]
ASK: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
    "cache_control": {"type": "ephemeral"},
}


def post(url: str, model: str, path: str = "", **fields: Any) -> httpx.Response:
    body = {"model": model, "max_tokens": 8, "temperature": 0, "messages": HELLO} | fields
    return httpx.post(f"{url}/v1/messages{path}", json=body, timeout=60)


def events_of(reply: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream, whose names are their types."""
    events = []
    for frame in reply.text.strip().split("\n\n"):
        name, data = frame.split("\n", 1)
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def test_message_is_the_chat_completion(server_url: str, model: str, client: openai.OpenAI) -> None:
    message = post(server_url, model, system=[{"type": "text", "text": "Be brief."}]).json()
    system: Any = {"role": "system", "content": "Be brief."}
    chat = client.chat.completions.create(
        model=model, messages=[system, *HELLO], temperature=0, max_tokens=8
    )
    assert message["content"] == [{"type": "text", "text": chat.choices[0].message.content}]
    usage = message["usage"]
    assert chat.usage
    prompt = usage["input_tokens"] + usage["cache_read_input_tokens"]
    assert (prompt, usage["output_tokens"]) == (
        chat.usage.prompt_tokens, chat.usage.completion_tokens,
    )  # fmt: skip


def test_cut_message_says_max_tokens(server_url: str, model: str) -> None:
    assert post(server_url, model, max_tokens=2).json()["stop_reason"] == "max_tokens"


def test_stream_says_what_the_message_says(server_url: str, model: str) -> None:
    whole = post(server_url, model).json()
    events = events_of(post(server_url, model, stream=True))
    text = "".join(
        event["delta"]["text"] for event in events if event["type"] == "content_block_delta"
    )
    assert text == whole["content"][0]["text"]
    assert [event["type"] for event in events if event["type"] != "content_block_delta"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    ended = next(event for event in events if event["type"] == "message_delta")
    assert ended["delta"]["stop_reason"] == whole["stop_reason"]
    assert ended["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


def test_call_whole_and_streamed(server_url: str, model: str) -> None:
    fields: Any = {
        "messages": ASK, "tools": [WEATHER], "tool_choice": {"type": "any"}, "max_tokens": 60,
    }  # fmt: skip
    whole = post(server_url, model, **fields).json()
    assert whole["stop_reason"] == "tool_use"
    (call,) = whole["content"]
    assert (call["type"], call["name"]) == ("tool_use", "get_weather")
    events = events_of(post(server_url, model, stream=True, **fields))
    pieces = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert json.loads("".join(piece["partial_json"] for piece in pieces)) == call["input"]


def test_blocks_become_messages(serve: Callable[..., str]) -> None:
    seen: list[Request] = []

    def script(request: Request) -> list[str]:
        seen.append(request)
        return ["fine"]

    url = serve(ScriptedBackend(script))
    model = httpx.get(f"{url}/v1/models").json()["data"][0]["id"]
    call = {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Paris"}}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "no", "is_error": True}
    messages = [
        *ASK,
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Wait."}, call]},
        {"role": "user", "content": [result, {"type": "text", "text": "Again?"}]},
    ]
    assert post(url, model, messages=messages, tools=[WEATHER]).status_code == 200
    asked = [(message.role, message.content) for message in seen[0].messages]
    assert asked[1:] == [("assistant", "Wait."), ("tool", "Error: no"), ("user", "Again?")]
    assert seen[0].messages[1].reasoning == "Hm."
    assert seen[0].messages[1].tool_calls[0].arguments == '{"city": "Paris"}'
    prefill = [*ASK, {"role": "assistant", "content": "It is"}]
    assert post(url, model, messages=prefill).status_code == 200
    assert seen[1].continue_final


def test_structured_output_holds(server_url: str, model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    config = {"format": {"type": "json_schema", "schema": schema}}
    message = post(server_url, model, output_config=config, max_tokens=100).json()
    assert json.loads(message["content"][0]["text"]).keys() == {"name"}


def test_tokens_counted(server_url: str, model: str) -> None:
    body = {"model": model, "messages": HELLO}
    counted = httpx.post(f"{server_url}/v1/messages/count_tokens", json=body).json()
    usage = post(server_url, model).json()["usage"]
    used = usage["input_tokens"] + usage["cache_read_input_tokens"]
    assert counted == {"input_tokens": used}


def test_key_as_anthropic_sends_it(serve: Callable[..., str]) -> None:
    url = serve(ScriptedBackend(lambda _request: ["fine"]), {"access.api_key": "sesame"})
    body = {"model": "gpt-4", "max_tokens": 1, "messages": HELLO}
    refused = httpx.post(f"{url}/v1/messages", json=body)
    assert (refused.status_code, refused.json()["type"]) == (401, "error")
    assert refused.json()["error"]["type"] == "authentication_error"
    passed = httpx.post(f"{url}/v1/messages", json=body, headers={"x-api-key": "sesame"})
    assert (passed.status_code, passed.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 9}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]},
         "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
         "messages[0].content[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "a"}]}, "tools[0].type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "wrong"}}}},
         "output_config.format"),
        ({"container": "c"}, "container"),
        ({"speed_of_light": 1}, "speed_of_light"),
    ],
)  # fmt: skip
def test_refusal_names_the_field(
    server_url: str, model: str, changes: dict[str, Any], param: str, stream: bool
) -> None:
    reply = post(server_url, model, stream=stream, **changes)
    assert reply.status_code == 400
    body = reply.json()
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert body["error"]["param"] == param
