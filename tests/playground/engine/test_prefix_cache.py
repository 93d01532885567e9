"""Keys and values kept from one request to the next: found when they fit, and only then."""

import asyncio
import random
from collections.abc import Iterator, Sequence

import pytest

from playground.backends.chat import Answer, answer
from playground.engine import Engine, Limits
from playground.engine.kv_cache import CacheBudget, SequenceCache
from playground.engine.prefix_cache import Computed, PrefixCache
from playground.models.loaded import LoadedModel
from playground.protocol import Message, ModelInfo, Request, Sampling

FILLER = "The price of a lamp is 12 euros. The train to Oslo leaves at 10:15. "
GREEDY = Sampling(temperature=0.0, max_tokens=24)


def conversation(*texts: str) -> Request:
    roles = ("user", "assistant")
    messages = tuple(Message(roles[at % 2], text) for at, text in enumerate(texts))
    return Request("embedded", messages, sampling=GREEDY)


@pytest.fixture(scope="module")
def engines(loaded: LoadedModel) -> Iterator[tuple[Engine, Engine]]:
    """One engine that keeps prefixes, and one that does not."""
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    with (
        Engine(loaded, info, Limits(kv_cache_gib=0.02)) as keeping,
        Engine(loaded, info, Limits(prefix_cache=False)) as plain,
    ):
        yield keeping, plain


async def test_the_next_turn_computes_only_what_is_new(engines: tuple[Engine, Engine]) -> None:
    keeping, _ = engines
    opening = FILLER * 6 + "What is the capital of Japan?"
    first = await answer(keeping, conversation(opening))
    second = await answer(keeping, conversation(opening, first.text, "And of Norway?"))
    assert first.usage.cached_tokens == 0
    # the answer too, as far as its text is cut into tokens as the model wrote them
    assert second.usage.cached_tokens > first.usage.prompt_tokens


async def test_a_shared_system_prompt_is_computed_once(engines: tuple[Engine, Engine]) -> None:
    keeping, _ = engines
    system = Message("system", "Answer in one word. " + "Be exact and polite. " * 12)
    asked = [
        Request("embedded", (system, Message("user", text)), sampling=GREEDY)
        for text in ("What is the capital of Japan?", "What is 3 + 4?", "What comes after Friday?")
    ]
    first = await answer(keeping, asked[0])
    others = await asyncio.gather(*(answer(keeping, request) for request in asked[1:]))
    assert first.usage.cached_tokens < 10
    assert all(other.usage.cached_tokens > 60 for other in others)


async def test_answers_are_the_same_with_and_without_kept_prefixes(
    engines: tuple[Engine, Engine],
) -> None:
    keeping, plain = engines
    rng = random.Random(4)
    texts = ["What is the capital of Japan?", "Hello!", "What is 3 + 4?", "Wer bist du?", FILLER]
    history: list[list[str]] = [[] for _ in range(6)]
    for _ in range(5):
        for turns in history:
            turns.append(rng.choice(texts))
        requests = [conversation(*turns) for turns in history]
        kept = await asyncio.gather(*(answer(keeping, request) for request in requests))
        cold = await asyncio.gather(*(answer(plain, fresh(request)) for request in requests))
        assert _texts(kept) == _texts(cold)
        for turns, got in zip(history, kept, strict=True):
            turns.append(got.text)


def fresh(request: Request) -> Request:
    return Request(request.model, request.messages, sampling=request.sampling)


def _texts(answers: Sequence[Answer]) -> list[str]:
    return [each.text for each in answers]


def kept(budget: CacheBudget, key: str, tokens: Sequence[int]) -> Computed:
    cache = SequenceCache()
    budget.grow(cache, 64)
    return Computed.of(key, tokens, cache)


def test_what_other_weights_computed_is_never_found() -> None:
    budget = CacheBudget(1024)
    prefixes = PrefixCache(budget)
    prefixes.keep(kept(budget, "base", range(40)))
    assert prefixes.begin("base+expert@2", list(range(40)), ())[1] == 0
    assert prefixes.begin("base", list(range(40)), ())[1] == 39


def test_the_longest_unused_prefix_goes_first_when_room_is_needed() -> None:
    budget = CacheBudget(192)
    prefixes = PrefixCache(budget)
    for first in (0, 100, 200):
        prefixes.keep(kept(budget, "", range(first, first + 40)))
    assert budget.used == 192
    assert prefixes.make_room(SequenceCache(), 64)
    assert budget.used == 128
    assert prefixes.begin("", list(range(0, 40)), ())[1] == 0
    assert prefixes.begin("", list(range(100, 140)), ())[1] == 39


def test_forgotten_weights_leave_no_room_taken() -> None:
    budget = CacheBudget(192)
    prefixes = PrefixCache(budget)
    prefixes.keep(kept(budget, "expert@1", range(40)))
    prefixes.forget("expert@1")
    assert (budget.used, len(prefixes)) == (0, 0)
