"""``/tokenize``, ``/detokenize`` and ``/version`` over the embedded model."""

from typing import Any

import httpx
import openai
import pytest

import playground
from playground.backends.local import LocalBackend

HELLO = [{"role": "user", "content": "Hello!"}]


def post(url: str, path: str, **body: Any) -> Any:
    reply = httpx.post(f"{url}{path}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("base", ["", "/v1"])
def test_prompt_comes_back(server_url: str, base: str) -> None:
    text = "Größe: 3 µm, [INST] is text here."
    plain = post(server_url, f"{base}/tokenize", prompt=text, add_special_tokens=False)
    assert plain["count"] == len(plain["tokens"])
    assert post(server_url, f"{base}/detokenize", tokens=plain["tokens"]) == {"prompt": text}
    whole = post(server_url, f"{base}/tokenize", prompt=text)
    assert whole["tokens"][1:] == plain["tokens"]


def test_messages_are_counted_as_chat_does(
    server_url: str, client: openai.OpenAI, model: str
) -> None:
    counted = post(server_url, "/tokenize", model=model, messages=HELLO, return_token_strs=True)
    messages: Any = HELLO
    chat = client.chat.completions.create(model=model, messages=messages, max_tokens=1)
    assert chat.usage
    assert counted["count"] == chat.usage.prompt_tokens
    assert "".join(counted["token_strs"]) == "<s><INST>Hello!</INST>"


def test_context_length_is_told(server_url: str, backend: LocalBackend) -> None:
    length = post(server_url, "/tokenize", prompt="Hello")["max_model_len"]
    assert length == backend.default_model.context_length


def test_version(server_url: str) -> None:
    assert httpx.get(f"{server_url}/version").json() == {"version": playground.__version__}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "a", "messages": HELLO}, "prompt"),
        ("/tokenize", {"prompt": "a", "model": "gpt-4"}, "model"),
        ("/tokenize", {"messages": [{"role": "robot"}]}, "messages[0].role"),
        ("/detokenize", {"tokens": [10**9]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens"),
        ("/detokenize", {"tokens": "a"}, "tokens"),
    ],
)
def test_refusal_names_the_field(
    server_url: str, path: str, body: dict[str, Any], param: str
) -> None:
    reply = httpx.post(f"{server_url}{path}", json=body)
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["param"] == param
