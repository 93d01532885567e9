"""Every parameter that the real clients can send is applied, ignored for a reason, or refused."""

import dataclasses
from typing import Any

import httpx
import openai.types.chat.completion_create_params as openai_chat
import openai.types.completion_create_params as openai_completion
import pytest
import together.types.chat.completion_create_params as together_chat
import together.types.completion_create_params as together_completion

from playground.api.parameters import CHAT, COMPLETION
from playground.api.schemas import ChatBody, CompletionBody
from playground.backends.scripted import ScriptedBackend
from playground.protocol import ModelInfo, Request, Sampling

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
    decided = {*body.model_fields, *body.unsupported.ignored, *body.unsupported.refused}
    assert set(client.__annotations__) - decided == set()


@pytest.mark.parametrize("body", [ChatBody, CompletionBody])
def test_no_parameter_has_two_decisions(body: Any) -> None:
    applied, ignored, refused = (
        set(body.model_fields),
        set(body.unsupported.ignored),
        set(body.unsupported.refused),
    )
    assert applied & ignored == applied & refused == ignored & refused == set()


def ask(url: str, endpoint: str, change: dict[str, Any]) -> httpx.Response:
    prompt: dict[str, Any] = {"prompt": "Hi"}
    if endpoint == "chat/completions":
        prompt = {"messages": [{"role": "user", "content": "Hi"}]}
    body = {"model": "scripted"} | prompt | change
    return httpx.post(f"{url}/v1/{endpoint}", json=body)


@pytest.mark.slow
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


def recording_server(serve, **info: Any) -> tuple[list[Sampling], str]:
    """A server, and the sampling of each request that reaches its backend."""
    seen: list[Sampling] = []

    def script(request: Request) -> list[str]:
        seen.append(request.sampling)
        return ["fine"]

    return seen, serve(ScriptedBackend(script, models=[ModelInfo("scripted", 100, **info)]))


def test_a_request_that_leaves_sampling_out_gets_the_models_own(serve) -> None:
    own = Sampling(temperature=0.15, top_p=0.9, stop=("END",))
    seen, url = recording_server(serve, defaults=own)
    for change in ({}, {"top_p": 0.5, "seed": None}):
        assert ask(url, "chat/completions", change).status_code == 200
    assert seen == [own, Sampling(temperature=0.15, top_p=0.5, stop=("END",))]


@pytest.mark.slow
def test_each_sampling_parameter_reaches_the_backend(serve) -> None:
    given: dict[str, Any] = {
        "max_tokens": 5,
        "temperature": 0.3,
        "top_p": 0.8,
        "top_k": 12,
        "min_p": 0.02,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.4,
        "frequency_penalty": -0.5,
        "seed": 11,
        "min_tokens": 2,
        "ignore_eos": True,
        "include_stop_str_in_output": True,
    }
    more = {"logit_bias": {"7": 1.5}, "stop": "END", "logprobs": 3, "stop_token_ids": [7, 9]}
    wanted = Sampling(
        **given, logit_bias={7: 1.5}, stop=("END",), logprobs=3, stop_token_ids=(7, 9)
    )
    seen, url = recording_server(serve)
    by_echo = {"prompt_logprobs"}
    assert {*given, *more, *by_echo} == {field.name for field in dataclasses.fields(Sampling)}
    for endpoint in ("chat/completions", "completions"):
        assert ask(url, endpoint, given | more).status_code == 200
    assert seen == [wanted, wanted]
