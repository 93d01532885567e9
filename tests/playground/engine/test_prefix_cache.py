"""Keys and values kept from one request to the next: used where they fit, and only there."""

import random
from collections.abc import Iterator, Sequence

import pytest

from playground.engine import Engine, Limits
from playground.engine.kv_cache import CacheBudget, SequenceCache
from playground.engine.prefix_cache import CachedPrefix, PrefixCache
from playground.models.loaded import LoadedModel
from playground.protocol import Message
from tests.playground.engine.driver import (
    Prompt,
    decode,
    generate,
    generate_all,
    render,
    token_ids,
)

FILLER = "The price of a lamp is 12 euros. The train to Oslo leaves at 10:15. "
MAX_TOKENS = 24


@pytest.fixture(scope="module")
def engines(loaded: LoadedModel) -> Iterator[tuple[Engine, Engine]]:
    """One engine that keeps prefixes, and one that does not."""
    with (
        Engine(loaded, Limits(kv_cache_gib=0.02)) as keeping,
        Engine(loaded, Limits(prefix_cache=False)) as plain,
    ):
        yield keeping, plain


def conversation(loaded: LoadedModel, *texts: str) -> Prompt:
    return Prompt(render(loaded, *texts), max_tokens=MAX_TOKENS)


@pytest.mark.slow
def test_next_turn_reuses_prompt_and_answer(
    engines: tuple[Engine, Engine], loaded: LoadedModel
) -> None:
    keeping, _ = engines
    opening = FILLER * 6 + "What is the capital of Japan?"
    first = generate(keeping, conversation(loaded, opening))
    text = decode(loaded, first.token_ids)
    second = generate(keeping, conversation(loaded, opening, text, "And of Norway?"))
    assert first.result.cached_tokens == 0
    # the answer too, as far as its text is cut into tokens as the model wrote them
    assert second.result.cached_tokens > first.result.prompt_tokens


def test_shared_system_prompt_is_computed_once(
    engines: tuple[Engine, Engine], loaded: LoadedModel
) -> None:
    keeping, _ = engines
    system = Message("system", "Answer in one word. " + "Be exact and polite. " * 12)
    questions = ("What is the capital of Japan?", "What is 3 + 4?", "What comes after Friday?")
    prompts = [
        Prompt(loaded.tokenizer.render([system, Message("user", text)]), max_tokens=MAX_TOKENS)
        for text in questions
    ]
    first = generate(keeping, prompts[0])
    others = generate_all(keeping, prompts[1:])
    assert first.result.cached_tokens < 10
    assert all(other.result.cached_tokens > 60 for other in others)


@pytest.mark.slow
def test_kept_prefixes_change_no_answer(
    engines: tuple[Engine, Engine], loaded: LoadedModel
) -> None:
    keeping, plain = engines
    rng = random.Random(4)
    texts = ["What is the capital of Japan?", "Hello!", "What is 3 + 4?", "Wer bist du?", FILLER]
    history: list[list[str]] = [[] for _ in range(6)]
    for _ in range(5):
        for turns in history:
            turns.append(rng.choice(texts))
        prompts = [conversation(loaded, *turns) for turns in history]
        kept = generate_all(keeping, prompts)
        assert token_ids(kept) == token_ids(generate_all(plain, prompts))
        for turns, answer in zip(history, kept, strict=True):
            turns.append(decode(loaded, answer.token_ids))


def kept(budget: CacheBudget, adapter_hash: str, tokens: Sequence[int]) -> CachedPrefix:
    cache = SequenceCache()
    budget.grow(cache, 64)
    return CachedPrefix.of(adapter_hash, tokens, cache)


def test_other_adapters_prefix_is_never_found() -> None:
    budget = CacheBudget(1024)
    prefixes = PrefixCache(budget)
    prefixes.keep(kept(budget, "", range(40)))
    assert prefixes.begin("another", list(range(40)), ())[1] == 0
    assert prefixes.begin("", list(range(40)), ())[1] == 39


def test_least_recently_used_prefix_is_evicted() -> None:
    budget = CacheBudget(192)
    prefixes = PrefixCache(budget)
    for first in (0, 100, 200):
        prefixes.keep(kept(budget, "", range(first, first + 40)))
    assert budget.used == 192
    assert prefixes.make_room(SequenceCache(), 64)
    assert budget.used == 128
    assert prefixes.begin("", list(range(0, 40)), ())[1] == 0
    assert prefixes.begin("", list(range(100, 140)), ())[1] == 39


def test_forgotten_adapter_frees_its_room() -> None:
    budget = CacheBudget(192)
    prefixes = PrefixCache(budget)
    prefixes.keep(kept(budget, "adapter", range(40)))
    prefixes.forget("adapter")
    assert (budget.used, len(prefixes)) == (0, 0)
