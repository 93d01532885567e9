"""Whatever else runs, is cancelled, preempted or kept: an answer is what transformers generates."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from transformers import PreTrainedModel

from playground.engine import Engine, Limits
from playground.models.adapters import Adapter, read_adapter
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Sampling
from recipes.tiny_mistral.evaluation import held_out_rows
from tests.playground.adapter_files import random_adapter
from tests.playground.engine.driver import (
    Prompt,
    generate,
    generate_all,
    generate_and_cancel,
    token_ids,
)

pytestmark = pytest.mark.slow

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
MAX_TOKENS = 24
PAD_ID, BATCH = 11, 50


@dataclass(frozen=True)
class Case:
    """A prompt, and the token ids that transformers' generate() makes of it."""

    prompt: list[int]
    expected: list[int]

    def to_prompt(self, adapter: Adapter | None = None) -> Prompt:
        sampling = Sampling(temperature=0.0, logprobs=0)
        return Prompt(self.prompt, sampling, MAX_TOKENS, adapter=adapter)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    loaded = load(ModelSpec("embedded"))
    torch.set_num_threads(1)
    rows = [row for family in FAMILIES for row in held_out_rows(family, PROMPTS // len(FAMILIES))]
    prompts = []
    for row in rows:
        texts = [Message(turn.role, turn.text) for turn in row.turns if turn.role != "assistant"]
        messages = texts[: next(i for i, m in enumerate(texts) if m.role == "user") + 1]
        prompts.append(loaded.tokenizer.render(messages))
    return generated(loaded.model, loaded, prompts)


def generated(
    model: PreTrainedModel, loaded: LoadedModel, prompts: Sequence[list[int]]
) -> list[Case]:
    """Generate after each of these prompts, by transformers, in batches of like length."""
    by_length = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    cases: dict[int, Case] = {}
    for start in range(0, len(prompts), BATCH):
        batch = by_length[start : start + BATCH]
        answered = generated_at_once(model, loaded, [prompts[at] for at in batch])
        cases |= zip(batch, answered, strict=True)
    return [cases[at] for at in range(len(prompts))]


def generated_at_once(
    model: PreTrainedModel, loaded: LoadedModel, prompts: Sequence[list[int]]
) -> list[Case]:
    """Generate after these prompts, padded on the left."""
    width = max(map(len, prompts))
    padded = [[PAD_ID] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    out = model.generate(
        input_ids=torch.tensor(padded),
        attention_mask=torch.tensor(mask),
        max_new_tokens=MAX_TOKENS,
        do_sample=False,
        pad_token_id=PAD_ID,
    )[:, width:].tolist()
    end = min(loaded.tokenizer.end_ids)
    return [
        Case(prompt, ids[: ids.index(end)] if end in ids else ids)
        for prompt, ids in zip(prompts, out, strict=True)
    ]


@pytest.fixture(scope="module")
def tight(loaded: LoadedModel) -> Iterator[Engine]:
    """An engine with few slots, short steps and little room, so that requests wait, are cut into
    chunks and preempted.
    """
    limits = Limits(max_sequences=5, step_tokens=32, kv_cache_gib=0.004, max_waiting=64)
    with Engine(loaded, limits) as engine:
        yield engine


def differing(answers: Sequence[list[int]], cases: Sequence[Case]) -> list[int]:
    """Return which answers are not what was expected."""
    pairs = enumerate(zip(answers, cases, strict=True))
    return [i for i, (ids, case) in pairs if ids[: len(case.expected)] != case.expected]


@pytest.mark.slow
@pytest.mark.parametrize("prefix_cache", [False, True])
def test_200_greedy_answers_equal_transformers(
    loaded: LoadedModel, cases: list[Case], prefix_cache: bool
) -> None:
    assert len(cases) == PROMPTS
    prompts = [case.to_prompt() for case in cases]
    half = slice(int(prefix_cache), None, 2)  # so that each is once asked alone
    with Engine(loaded, Limits(prefix_cache=prefix_cache)) as engine:
        alone = [generate(engine, prompt) for prompt in prompts[half]]
        together = generate_all(engine, prompts)
    assert not differing(token_ids(alone), cases[half])
    assert not differing(token_ids(together), cases)  # with kept prefixes, where they are kept


@pytest.mark.slow
def test_mixed_adapters_equal_peft(cases: list[Case], tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    folders = [random_adapter(tmp_path / name, seed, r=8) for seed, name in enumerate("abc")]
    expected: list[Case] = []
    prompts: list[Prompt] = []
    some = cases[::16]
    for folder in folders:
        tuned = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, folder)
        adapter = read_adapter(folder)
        answered = generated(tuned, loaded, [case.prompt for case in some])
        expected += answered
        prompts += [case.to_prompt(adapter) for case in answered]
    step = len(some)
    order = [adapter * step + i for i in range(step) for adapter in range(len(folders))]
    with Engine(loaded) as engine:
        answers = generate_all(engine, [prompts[i] for i in order])
    assert not differing(token_ids(answers), [expected[i] for i in order])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, PROMPTS - 1), st.none() | st.integers(0, 12), st.integers(0, 3)),
        min_size=1,
        max_size=14,
    )
)
def test_no_schedule_changes_an_answer(
    tight: Engine, cases: list[Case], schedule: list[tuple[int, int | None, int]]
) -> None:
    def answer(entry: tuple[int, int | None, int]) -> list[int]:
        index, cancel_after, later = entry
        for _ in range(later):  # after some answers of others have gone on
            generate_and_cancel(tight, cases[0].to_prompt(), 1)
        prompt = cases[index].to_prompt()
        if cancel_after is None:
            return generate(tight, prompt).token_ids
        return generate_and_cancel(tight, prompt, cancel_after).token_ids

    with ThreadPoolExecutor(len(schedule)) as threads:
        answers = list(threads.map(answer, schedule))
    for ids, (index, cancel_after, _) in zip(answers, schedule, strict=True):
        expected = cases[index].expected
        length = len(expected) if cancel_after is None else min(len(ids), len(expected))
        assert ids[:length] == expected[:length]
    assert tight.running
