"""Refusals say what is allowed, in words of the API and not of the code behind it."""

from typing import Any

import httpx
import pytest

from tests.playground.api.test_api_bad_input import CHAT, COMPLETIONS, HELLO, user

RESPONSES, MESSAGES, CLASSIFY = "/v1/responses", "/v1/messages", "/v1/classify"
EMBEDDINGS = "/v1/embeddings"
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
N_LIMIT, TOKENS_LIMIT = "is not between 1 and 16", "is not between 1 and 1000000"


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        (CHAT, {"response_format": "json"}, "response_format: should be an object, not 'json'"),
        (CHAT, {"messages": ["x"]}, "messages[0]: should be an object, not 'x'"),
        (CHAT, {"guided_json": [1]}, "guided_json: should be an object, not [1]"),
        (RESPONSES, {"input": ["x"]}, "input[0]: should be an object, not 'x'"),
        (MESSAGES, {"messages": ["x"]}, "messages[0]: should be an object, not 'x'"),
        (
            CHAT,
            user([IMAGE]),
            "messages[0].content[0]: must be of type 'text', the only one supported; "
            "got 'image_url'",
        ),
        (
            RESPONSES,
            {"input": [{"role": "user", "content": [IMAGE]}]},
            "input[0].content[0].type: must be text, the only content supported; got 'image_url'",
        ),
        (
            MESSAGES,
            {"system": [IMAGE]},
            "system[0].type: must be text, the only content supported; got 'image_url'",
        ),
        (CHAT, {"n": 1000}, f"n: 1000 {N_LIMIT}"),
        (CHAT, {"n": 0}, f"n: 0 {N_LIMIT}"),
        (COMPLETIONS, {"n": 1000}, f"n: 1000 {N_LIMIT}"),
        (
            COMPLETIONS,
            {"prompt": ["a"] * 65, "n": 2},
            "prompt: 65 prompts times n = 2; 128 answers at most",
        ),
        (CHAT, {"max_tokens": 0}, f"max_tokens: 0 {TOKENS_LIMIT}"),
        (CHAT, {"max_tokens": -1}, f"max_tokens: -1 {TOKENS_LIMIT}"),
        (COMPLETIONS, {"max_tokens": -1}, f"max_tokens: -1 {TOKENS_LIMIT}"),
        (RESPONSES, {"max_output_tokens": -1}, f"max_output_tokens: -1 {TOKENS_LIMIT}"),
        (MESSAGES, {"max_tokens": -1}, f"max_tokens: -1 {TOKENS_LIMIT}"),
        (RESPONSES, {"input": 5}, "input: should be text or a list, not 5"),
        (
            RESPONSES,
            {"input": [{"role": "user", "content": 5}]},
            "input[0].content: should be text or a list, not 5",
        ),
        (
            RESPONSES,
            {"conversation": 5},
            "conversation: should be a valid string or an object, not 5",
        ),
        (EMBEDDINGS, {"input": 5}, "input: should be a valid string or a valid list, not 5"),
        (MESSAGES, {"system": 5}, "system: should be text or a list, not 5"),
        (CHAT, {"stop": 5}, "stop: should be text or a list, not 5"),
        (CLASSIFY, {"input": 5}, "input: should be text or a list, not 5"),
    ],
)
def test_refusal_says_what_is_allowed(
    server_url: str, model: str, path: str, change: dict[str, Any], message: str
) -> None:
    needed: dict[str, dict[str, Any]] = {
        CHAT: {"messages": HELLO},
        COMPLETIONS: {"prompt": "Hi"},
        RESPONSES: {"input": "Hi"},
        MESSAGES: {"messages": HELLO, "max_tokens": 5},
        CLASSIFY: {"labels": ["a", "b"]},
        EMBEDDINGS: {},
    }
    body = {"model": model} | needed[path] | change
    assert httpx.post(server_url + path, json=body).json()["error"]["message"] == message
