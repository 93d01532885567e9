"""Whatever else runs, is cancelled, preempted or kept: an answer is what transformers generates."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.embedded.evaluate import held_out_rows
from playground.engine import Engine, Limits
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, ModelInfo, Request, Sampling

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
        prompt = loaded.tokenizer.render(messages)
        out = loaded.model.generate(
            torch.tensor([prompt]), max_new_tokens=LONGEST, do_sample=False, pad_token_id=11
        )[0, len(prompt) :].tolist()
        end = min(loaded.tokenizer.end_ids)
        found.append(Asked(messages, out[: out.index(end)] if end in out else out))
    return found


@pytest.fixture(scope="module")
def tight(loaded: LoadedModel) -> Iterator[Engine]:
    """An engine with few slots, short steps and little room, so that requests wait, are cut into
    chunks and preempted.
    """
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    limits = Limits(max_sequences=5, step_tokens=32, kv_cache_gib=0.004, max_waiting=64)
    with Engine(loaded, info, limits) as engine:
        yield engine


async def token_ids(engine: Engine, asked: Asked, cancel_after: int | None = None) -> list[int]:
    """The answer's ids; cut short by hanging up after so many tokens."""
    sampling = Sampling(temperature=0.0, max_tokens=LONGEST, logprobs=0)
    request = Request("embedded", asked.messages, sampling=sampling)
    ids: list[int] = []
    async with aclosing(engine.stream(request)) as events:
        async for event in events:
            ids += [token.token_id for token in event.logprobs]
            if cancel_after is not None and len(ids) >= cancel_after:
                break
    return ids


@pytest.mark.slow
async def test_200_greedy_answers_are_what_transformers_generates(
    engine: Engine, asked: list[Asked]
) -> None:
    assert len(asked) == PROMPTS
    got = await asyncio.gather(*(token_ids(engine, each) for each in asked))
    differing = [
        at for at, (ids, each) in enumerate(zip(got, asked, strict=True))
        if ids[: len(each.expected)] != each.expected
    ]  # fmt: skip
    assert not differing


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
