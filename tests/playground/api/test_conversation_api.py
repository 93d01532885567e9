"""What of a conversation reaches the prompt: names, the guardrail, a message to be continued."""

from typing import Any

import httpx
import pytest

from playground.api.dialects import SAFE_PROMPT
from playground.backends.local import LocalBackend
from playground.models.loaded import LoadedModel
from playground.protocol import Message

QUESTION: dict[str, Any] = {"role": "user", "content": "What is the capital of France?"}
OPENED: list[dict[str, Any]] = [QUESTION, {"role": "assistant", "content": "The capital"}]


def chat(url: str, model: str, messages: list[dict[str, Any]], **change: Any) -> dict[str, Any]:
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 12} | change
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def prompt_tokens(url: str, model: str, messages: list[dict[str, Any]], **change: Any) -> int:
    return int(chat(url, model, messages, **change)["usage"]["prompt_tokens"])


def text_of(reply: dict[str, Any]) -> str:
    return str(reply["choices"][0]["message"]["content"])


@pytest.mark.slow
def test_safe_prompt_is_a_system_message(server_url: str, model: str) -> None:
    guarded = chat(server_url, model, [QUESTION], safe_prompt=True)
    system = {"role": "system", "content": SAFE_PROMPT}
    assert guarded["usage"]["prompt_tokens"] == prompt_tokens(server_url, model, [system, QUESTION])


@pytest.mark.slow
def test_safe_prompt_precedes_the_system_prompt(server_url: str, model: str) -> None:
    system = {"role": "system", "content": "Be brief."}
    both = {"role": "system", "content": f"{SAFE_PROMPT}\n\nBe brief."}
    guarded = prompt_tokens(server_url, model, [system, QUESTION], safe_prompt=True)
    assert guarded == prompt_tokens(server_url, model, [both, QUESTION])


def test_safe_prompt_false_adds_nothing(server_url: str, model: str) -> None:
    plain = prompt_tokens(server_url, model, [QUESTION])
    assert prompt_tokens(server_url, model, [QUESTION], safe_prompt=False) == plain


@pytest.mark.parametrize(
    "change",
    [
        {"continue_final_message": True},
        {"continue_final_message": True, "add_generation_prompt": False},
        {"add_generation_prompt": False},
    ],
)
def test_a_last_answer_is_continued(server_url: str, model: str, change: dict[str, Any]) -> None:
    by_prefix = [QUESTION, OPENED[1] | {"prefix": True}]
    wanted = text_of(chat(server_url, model, by_prefix))
    assert text_of(chat(server_url, model, OPENED, **change)) == wanted


@pytest.mark.slow
def test_no_template_variables_ask_for_nothing(server_url: str, model: str) -> None:
    plain = prompt_tokens(server_url, model, [QUESTION])
    assert prompt_tokens(server_url, model, [QUESTION], chat_template_kwargs={}) == plain


@pytest.mark.slow
def test_a_name_reaches_the_prompt(server_url: str, model: str) -> None:
    named = prompt_tokens(server_url, model, [QUESTION | {"name": "Ada"}])
    written = QUESTION | {"content": f"Ada: {QUESTION['content']}"}
    assert named == prompt_tokens(server_url, model, [written])


def test_a_continued_answer_stays_unnamed(loaded: LoadedModel) -> None:
    question = Message("user", "Who are you?")
    ids = [
        loaded.tokenizer.render([question, answer], continue_final=True)
        for answer in (Message("assistant", "I am", name="Bob"), Message("assistant", "I am"))
    ]
    assert ids[0] == ids[1]


@pytest.mark.slow
async def test_a_named_tool_result_is_as_without(backend: LocalBackend, server_url: str) -> None:
    model = backend.default_model.name
    call = {
        "id": "a12345678",
        "type": "function",
        "function": {"name": "now", "arguments": "{}"},
    }
    result = {"role": "tool", "tool_call_id": "a12345678", "content": "noon"}
    history: list[dict[str, Any]] = [QUESTION, {"role": "assistant", "tool_calls": [call]}]
    plain = prompt_tokens(server_url, model, [*history, result])
    assert prompt_tokens(server_url, model, [*history, result | {"name": "other"}]) == plain
