"""Several servers under one alias: who is asked, and what happens when one of them fails."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from playground.backends.openai_compatible import Replica, ReplicatedBackend
from playground.errors import BackendUnavailable, InvalidRequest, RequestFailed, UnknownModel
from playground.protocol import Delta, Message, Request, collect
from playground.settings import Settings, load_settings
from tests.playground.backends.openai_compatible.recorded import (
    Recording,
    asking,
    chunk,
    recording,
    refused,
    replayed,
    sse,
    whole,
)
from tests.playground.backends.openai_compatible.servers import CHAT, TRIED, VLLM_MODELS

CHATS = "/v1/chat/completions"
WITH_DESK = whole({"object": "list", "data": [{"id": "m"}, {"id": "desk", "parent": "m"}]})
HI = asking()
NEXT = replace(HI, messages=(*HI.messages, Message("assistant", "Hi"), Message("user", "More")))


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(*answers: httpx.Response, **paths: httpx.Response) -> Recording:
    """A server that was tried already, and answers so."""
    chats = [TRIED] * 4 + list(answers or [CHAT])
    others = {f"/v1/{name}": answer for name, answer in paths.items()}
    return recording({"/v1/models": VLLM_MODELS, CHATS: chats, **others})


@contextmanager
def replicated(
    *servers: Recording, weights: tuple[float, ...] = (), clock: Clock | None = None
) -> Iterator[ReplicatedBackend]:
    with ExitStack() as stack:
        backends = [stack.enter_context(replayed(each, "vllm", retries=0)) for each in servers]
        shares = weights or (1.0,) * len(backends)
        replicas = [Replica(*each) for each in zip(backends, shares, strict=True)]
        yield ReplicatedBackend(replicas, retries=0, clock=clock or Clock())


def asked(*servers: Recording) -> list[int]:
    """How many answers each was asked for, the trials of what it can do left out."""
    return [len(each.bodies(CHATS)) - 4 if each.bodies(CHATS) else 0 for each in servers]


def other(text: str) -> Request:
    """The beginning of another conversation."""
    return asking(messages=(Message("user", text),))


async def test_conversation_returns_to_its_server() -> None:
    servers = told(), told()
    with replicated(*servers) as backend:
        for number in range(6):
            first = other(f"Question {number}")
            before = asked(*servers)
            await collect(backend.stream(first))
            home = [now - was for now, was in zip(asked(*servers), before, strict=True)]
            turns = (*first.messages, Message("assistant", "Hi"), Message("user", "And then?"))
            await collect(backend.stream(asking(messages=turns)))
            twice = [now - was for now, was in zip(asked(*servers), before, strict=True)]
            assert twice == [2 * each for each in home]
    assert sorted(asked(*servers)) == [6, 6]


async def test_new_conversation_goes_to_least_work() -> None:
    servers = told(), told()
    with replicated(*servers) as backend:
        async with aclosing(backend.stream(other("A long one. " * 200))) as running:
            await anext(running)
            busy = asked(*servers).index(1)
            for number in range(3):
                await collect(backend.stream(other(f"Short {number}")))
        assert asked(*servers)[1 - busy] == 3
        assert [each.work for each in backend.replicas] == [0, 0]


async def test_overloaded_home_gives_way() -> None:
    servers = told(), told()
    with replicated(*servers) as backend:
        await collect(backend.stream(HI))
        home = asked(*servers).index(1)
        backend.replicas[home].work += 100_000
        await collect(backend.stream(NEXT))
        assert asked(*servers) == [1, 1]


async def test_weights_share_the_work() -> None:
    servers = told(), told(), told()
    with replicated(*servers, weights=(3, 1, 0)) as backend:
        async with AsyncExitStack() as stack:
            for number in range(8):
                running = backend.stream(other(f"Question {number}"))
                await stack.enter_async_context(aclosing(running))
                await anext(running)
            assert [each.requests for each in backend.replicas] == [6, 2, 0]


async def test_failing_server_is_passed_over() -> None:
    clock = Clock()
    servers = told(refused(), CHAT), told()
    with replicated(*servers, clock=clock) as backend:
        for number in range(4):
            got = await collect(backend.stream(other(f"Question {number}")))
            assert got.text.startswith("Hi")
        assert asked(*servers) == [1, 4]
        clock.now += 60
        for number in range(4, 8):
            await collect(backend.stream(other(f"Question {number}")))
        assert asked(*servers) == [4, 5]


async def test_failed_replicas_are_asked_in_rounds() -> None:
    servers = told(whole({}, 503)), told(refused())
    with replicated(*servers) as backend, pytest.raises(BackendUnavailable):
        await collect(backend.stream(HI))
    assert asked(*servers) == [1, 1]


async def test_begun_answer_is_asked_of_no_other() -> None:
    broken = sse(chunk({"content": "Hi"}), "{", done=False)
    servers = told(broken, refused()), told(broken, refused())
    with replicated(*servers) as backend:
        events = backend.stream(HI)
        first = await anext(events)
        with pytest.raises(RequestFailed):
            await collect(events)
    assert isinstance(first, Delta)
    assert first.text == "Hi"
    assert sorted(asked(*servers)) == [0, 1]


async def test_unknown_model_is_sought_everywhere() -> None:
    servers = told(), told()
    with replicated(*servers) as backend, pytest.raises(UnknownModel):
        await collect(backend.stream(asking("far/nothing")))


async def test_models_are_those_of_all() -> None:
    down = recording({"/v1/models": refused()})
    with replicated(down, told()) as backend:
        await backend.refresh()
        (info, *_) = await backend.models()
        assert "Not reached" not in info.description
        assert info.capabilities.tools
    with replicated(down, down) as backend, pytest.raises(BackendUnavailable):
        await backend.refresh()


def test_adapter_is_on_all_or_none(tmp_path: Path) -> None:
    able = told(load_lora_adapter=whole("ok"), unload_lora_adapter=whole("ok"), models=WITH_DESK)
    unable = told(load_lora_adapter=whole({"message": "no such folder"}, 400))
    with replicated(able, unable) as backend, pytest.raises(InvalidRequest, match="no such folder"):
        backend.load_adapter(tmp_path / "desk", "far/desk")
    assert able.bodies("/v1/load_lora_adapter")[0]["lora_name"] == "desk"
    assert able.bodies("/v1/unload_lora_adapter") == [{"lora_name": "desk"}]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "url, or replicas"),
        ({"url": "http://a", "replicas": ["http://b"]}, "url, or replicas"),
        ({"replicas": ["http://a", "http://a/"]}, "given twice"),
        ({"replicas": [{"url": "http://a", "weight": 0}]}, "weight above 0"),
        ({"replicas": ["ftp://a"]}, "http://HOST"),
        ({"replicas": [{"url": "http://a", "weight": -1}]}, "greater than or equal to 0"),
    ],
)
def test_wrong_replicas_are_named(given: dict[str, object], problem: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=problem):
        Settings.model_validate({"backends": [{"alias": "far", **given}]})


def test_replicas_are_given_in_a_line() -> None:
    (found,) = load_settings({"backends": ["fleet=vllm+http://a:8000,http://b:8000/v1"]}).backends
    assert [each.url for each in found.servers] == ["http://a:8000", "http://b:8000/v1"]
    assert str(found) == "fleet=vllm+http://a:8000,http://b:8000/v1"
