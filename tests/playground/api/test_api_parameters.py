"""Every parameter that the real clients can send is applied, ignored for a reason, or refused."""

from typing import Any

import httpx
import openai.types.chat.completion_create_params as openai_chat
import openai.types.completion_create_params as openai_completion
import pytest
import together.types.chat.completion_create_params as together_chat
import together.types.completion_create_params as together_completion

from playground.api.parameters import CHAT, COMPLETION
from playground.api.schemas import ChatBody, CompletionBody

SENT = {
    "openai-chat": (openai_chat.CompletionCreateParamsBase, ChatBody),
    "together-chat": (together_chat.CompletionCreateParamsBase, ChatBody),
    "openai-completion": (openai_completion.CompletionCreateParamsBase, CompletionBody),
    "together-completion": (together_completion.CompletionCreateParamsBase, CompletionBody),
}
HARMLESS = [
    (endpoint, name, value)
    for endpoint, unapplied in (("chat/completions", CHAT), ("completions", COMPLETION))
    for name, value in [
        *((name, "anything") for name in unapplied.ignored),
        *((name, value) for name, rule in unapplied.refused.items() for value in rule.harmless),
    ]
]
REFUSED = [
    (endpoint, name)
    for endpoint, unapplied in (("chat/completions", CHAT), ("completions", COMPLETION))
    for name in unapplied.refused
]


@pytest.mark.parametrize(("client", "body"), SENT.values(), ids=SENT)
def test_each_parameter_of_a_client_has_its_decision(client: Any, body: Any) -> None:
    decided = {*body.model_fields, *body.unapplied.ignored, *body.unapplied.refused}
    assert set(client.__annotations__) - decided == set()


@pytest.mark.parametrize("body", [ChatBody, CompletionBody])
def test_no_parameter_has_two_decisions(body: Any) -> None:
    applied, ignored, refused = (
        set(body.model_fields),
        set(body.unapplied.ignored),
        set(body.unapplied.refused),
    )
    assert applied & ignored == applied & refused == ignored & refused == set()


def ask(url: str, endpoint: str, change: dict[str, Any]) -> httpx.Response:
    asked = {"prompt": "Hi"} if endpoint == "completions" else {}
    if endpoint == "chat/completions":
        asked = {"messages": [{"role": "user", "content": "Hi"}]}
    body = {"model": "scripted"} | asked | change
    return httpx.post(f"{url}/v1/{endpoint}", json=body)


@pytest.mark.parametrize(("endpoint", "name", "value"), HARMLESS)
def test_what_asks_for_nothing_is_let_through(
    fine_url: str, endpoint: str, name: str, value: Any
) -> None:
    assert ask(fine_url, endpoint, {name: value}).status_code == 200
    assert ask(fine_url, endpoint, {name: None}).status_code == 200


@pytest.mark.parametrize(("endpoint", "name"), REFUSED)
def test_what_is_not_supported_is_refused_by_name(fine_url: str, endpoint: str, name: str) -> None:
    reply = ask(fine_url, endpoint, {name: {"type": "something"}})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (400, "unsupported_parameter")
    assert error["param"] == name
    assert error["message"].startswith(f"{name} is not supported: ")
