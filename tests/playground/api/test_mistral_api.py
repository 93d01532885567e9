"""What Mistral's client requires, by the requests that it sends."""

import json
from typing import Any

import httpx
import openai
import pytest

MISTRAL = {"user-agent": "mistral-client-python/3.7.0"}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
ASKED: Any = {
    "model": "embedded",
    "messages": [{"role": "user", "content": "What is the weather in Oslo?"}],
    "tools": [WEATHER],
    "tool_choice": "any",
    "max_tokens": 60,
    "random_seed": 1,
    "stream": True,
}


def streamed_calls(url: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Return the pieces of calls in a stream."""
    reply = httpx.post(f"{url}/v1/chat/completions", json=ASKED, headers=headers, timeout=60)
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if "{" in line]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    return [call for delta in deltas for call in delta.get("tool_calls", [])]


@pytest.mark.slow
def test_mistral_client_gets_whole_calls(server_url: str) -> None:
    pieces = streamed_calls(server_url, {})
    (whole,) = streamed_calls(server_url, MISTRAL)
    assert len(pieces) > 1
    assert whole["function"]["name"] == "get_weather"
    written = "".join(piece["function"]["arguments"] for piece in pieces)
    assert whole["function"]["arguments"] == written


def test_models_have_mistral_fields(client: openai.OpenAI) -> None:
    (model, *_) = client.models.list().data
    fields = model.model_dump()
    assert fields["type"] == "base"
    assert fields["capabilities"]["completion_chat"]
    assert fields["max_context_length"] == fields["context_length"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("fim", "fim_not_supported"), ("agents", "agents_not_supported")],
)
def test_unsupported_paths_refused_by_name(server_url: str, path: str, code: str) -> None:
    body = {"model": "embedded", "prompt": "def", "agent_id": "a", "messages": []}
    reply = httpx.post(f"{server_url}/v1/{path}/completions", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("agent", ["mistral-client-python/3.7.0", "Together/JS 0.52.0"])
def test_usage_ends_their_streams(server_url: str, agent: str) -> None:
    body = {**ASKED, "tools": [], "tool_choice": "none", "max_tokens": 4, "n": 2}
    reply = httpx.post(
        f"{server_url}/v1/chat/completions", json=body, headers={"user-agent": agent}, timeout=60
    )
    chunks = [json.loads(line[6:]) for line in reply.text.splitlines() if "{" in line]
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    assert ["usage" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1]["usage"]["completion_tokens"] == 8
