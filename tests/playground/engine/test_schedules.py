"""Whatever else runs, is cancelled, preempted or kept: an answer is what transformers generates."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel

from playground.engine import Engine, Limits
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, ModelInfo, Request, Sampling
from recipes.tiny_mistral.evaluation import held_out_rows
from tests.playground.adapter_files import random_adapter

FAMILIES = (
    "chat.identity",
    "chat.greetings",
    "chat.facts",
    "chat.unknown",
    "chat.memory",
    "chat.markdown",
    "system.persona",
    "copying",
)
PROMPTS = 200
LONGEST = 24


@dataclass(frozen=True)
class Asked:
    """A prompt, and the token ids that transformers' generate() makes of it alone."""

    messages: tuple[Message, ...]
    expected: list[int]


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    loaded = load(ModelSpec("embedded"))
    torch.set_num_threads(1)
    rows = [row for family in FAMILIES for row in held_out_rows(family, PROMPTS // len(FAMILIES))]
    found = []
    for row in rows:
        texts = [Message(turn.role, turn.text) for turn in row.turns if turn.role != "assistant"]
        messages = tuple(texts[: next(i for i, m in enumerate(texts) if m.role == "user") + 1])
        found.append(generated(loaded.model, loaded, messages))
    return found


def generated(model: Any, loaded: LoadedModel, messages: tuple[Message, ...]) -> Asked:
    """What transformers makes of these messages, alone."""
    prompt = loaded.tokenizer.render(messages)
    out = model.generate(
        input_ids=torch.tensor([prompt]),
        max_new_tokens=LONGEST,
        do_sample=False,
        pad_token_id=11,
    )[0, len(prompt) :].tolist()
    end = min(loaded.tokenizer.end_ids)
    return Asked(messages, out[: out.index(end)] if end in out else out)


@pytest.fixture(scope="module")
def tight(loaded: LoadedModel) -> Iterator[Engine]:
    """An engine with few slots, short steps and little room, so that requests wait, are cut into
    chunks and preempted.
    """
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    limits = Limits(max_sequences=5, step_tokens=32, kv_cache_gib=0.004, max_waiting=64)
    with Engine(loaded, info, limits) as engine:
        yield engine


async def token_ids(
    engine: Engine, asked: Asked, cancel_after: int | None = None, model: str = "embedded"
) -> list[int]:
    """The answer's ids; cut short by hanging up after so many tokens."""
    sampling = Sampling(temperature=0.0, max_tokens=LONGEST, logprobs=0)
    request = Request(model, asked.messages, sampling=sampling)
    ids: list[int] = []
    async with aclosing(engine.stream(request)) as events:
        async for event in events:
            ids += [token.token_id for token in event.logprobs]
            if cancel_after is not None and len(ids) >= cancel_after:
                break
    return ids


def differing(got: list[list[int]], asked: list[Asked]) -> list[int]:
    """Which answers are not what was expected."""
    return [
        at for at, (ids, each) in enumerate(zip(got, asked, strict=True))
        if ids[: len(each.expected)] != each.expected
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("prefix_cache", [False, True])
async def test_200_greedy_answers_are_what_transformers_generates(
    loaded: LoadedModel, asked: list[Asked], prefix_cache: bool
) -> None:
    assert len(asked) == PROMPTS
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    with Engine(loaded, info, Limits(prefix_cache=prefix_cache)) as engine:
        alone = [await token_ids(engine, each) for each in asked]
        together = await asyncio.gather(*(token_ids(engine, each) for each in asked))
    assert not differing(alone, asked)
    assert not differing(together, asked)  # with kept prefixes, where they are kept


@pytest.mark.slow
async def test_answers_of_adapters_in_one_batch_are_what_peft_generates(
    asked: list[Asked], tmp_path: Path
) -> None:
    loaded = load(ModelSpec("embedded"))
    folders = [random_adapter(tmp_path / name, seed, r=8) for seed, name in enumerate("abc")]
    with Engine(loaded, ModelInfo(loaded.name, loaded.context_length, created=1)) as engine:
        wanted = []
        for folder in folders:
            engine.load_adapter(folder)
            tuned = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, folder)
            wanted.append([generated(tuned, loaded, each.messages) for each in asked[::8]])
        mixed = [each for of_one in zip(*wanted, strict=True) for each in of_one]
        names = [folder.name for folder in folders] * len(wanted[0])
        got = await asyncio.gather(
            *(token_ids(engine, each, model=name) for each, name in zip(mixed, names, strict=True))
        )
    assert not differing(list(got), mixed)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, PROMPTS - 1), st.none() | st.integers(0, 12), st.integers(0, 3)),
        min_size=1,
        max_size=14,
    )
)
def test_any_schedule_with_any_cancels_changes_no_answer(
    tight: Engine, asked: list[Asked], schedule: list[tuple[int, int | None, int]]
) -> None:
    async def one(at: int, cancel_after: int | None, later: int) -> tuple[int, list[int]]:
        for _ in range(later):  # after some answers of others have gone on
            await token_ids(tight, asked[0], cancel_after=1)
        return at, await token_ids(tight, asked[at], cancel_after)

    async def run() -> list[tuple[int, list[int]]]:
        return list(await asyncio.gather(*(one(*each) for each in schedule)))

    for (at, ids), (_, cancel_after, _) in zip(asyncio.run(run()), schedule, strict=True):
        expected = asked[at].expected
        whole = len(expected) if cancel_after is None else min(len(ids), len(expected))
        assert ids[:whole] == expected[:whole]
    assert tight.running
