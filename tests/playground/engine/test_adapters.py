"""Adapters in the batch, against PEFT on a copy of the same base."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
import torch
from peft import PeftModel

from playground.engine import Engine, Limits
from playground.engine.batch import ScheduledChunk
from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE, AdapterBank
from playground.engine.runner import Runner, choose_runner
from playground.models.adapters import Adapter, read_adapter
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Sampling
from tests.playground.adapter_files import random_adapter
from tests.playground.engine.driver import (
    Prompt,
    generate,
    generate_all,
    render,
    start,
    token_ids,
)

pytestmark = pytest.mark.slow

QUESTIONS = ("What is the capital of Japan?", "Hello!", "What is 3 + 4?", "Wer bist du?")
KINDS: Mapping[str, Mapping[str, object]] = {
    "plain": {"r": 8, "lora_alpha": 16},
    "wide": {"r": 24, "lora_alpha": 24, "target_modules": ["q_proj", "v_proj"]},
    "stabilised": {"r": 4, "lora_alpha": 8, "use_rslora": True},
    "patterns": {
        "r": 8,
        "lora_alpha": 8,
        "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"down_proj": 32},
    },
}


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Adapter]:
    root = tmp_path_factory.mktemp("adapters")
    return {
        name: read_adapter(random_adapter(root / name, seed, **options))
        for seed, (name, options) in enumerate(KINDS.items())
    }


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(load(ModelSpec("embedded")), Limits(max_adapters=4)) as running:
        yield running


def ask(loaded: LoadedModel, text: str, adapter: Adapter | None) -> Prompt:
    sampling = Sampling(temperature=0.0, logprobs=0)
    return Prompt(render(loaded, text), sampling, max_tokens=20, adapter=adapter)


def generated(adapter: Adapter, text: str, loaded: LoadedModel) -> list[int]:
    """Generate with this adapter by PEFT and transformers."""
    model = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, adapter.folder)
    prompt = render(loaded, text)
    out: list[int] = model.generate(
        input_ids=torch.tensor([prompt]), max_new_tokens=20, do_sample=False, pad_token_id=11
    )[0, len(prompt) :].tolist()
    end = next(iter(loaded.tokenizer.end_ids))
    return out[: out.index(end)] if end in out else out


@pytest.mark.parametrize("kind", KINDS)
def test_adapter_answers_equal_peft(
    engine: Engine, adapters: dict[str, Adapter], loaded: LoadedModel, kind: str
) -> None:
    for text in QUESTIONS[:2]:
        expected = generated(adapters[kind], text, loaded)
        answer = generate(engine, ask(loaded, text, adapters[kind]))
        assert answer.token_ids[: len(expected)] == expected


def test_mixed_adapters_answer_as_alone(
    engine: Engine, adapters: dict[str, Adapter], loaded: LoadedModel
) -> None:
    prompts = [
        ask(loaded, text, adapter) for adapter in (None, *adapters.values()) for text in QUESTIONS
    ]
    alone = [generate(engine, prompt) for prompt in prompts]
    mixed = generate_all(engine, prompts)
    assert token_ids(mixed) == token_ids(alone)
    by_adapter = {p.adapter: a.token_ids for p, a in zip(prompts, mixed, strict=True)}
    assert len(set(map(tuple, by_adapter.values()))) == len(by_adapter)


@pytest.fixture(scope="module")
def four_slots(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """The forward, with an adapter in each of four slots."""
    runner = choose_runner(load(ModelSpec("embedded")).model)
    for slot in range(4):
        folder = random_adapter(tmp_path_factory.mktemp("slot") / str(slot), slot, r=8)
        runner.adapters.put(slot, read_adapter(folder))
    return runner


@pytest.mark.parametrize(
    "tokens_by_slot",
    [
        [(BASE, 1), (0, 1), (2, 1), (0, 70), (1, 80)],
        [(2, 1), (2, 1), (2, 40)],
        [(BASE, 90), (1, 64), (3, 100)],
        [(3, 1), (1, 30), (2, 64), (3, 65)],
    ],
)
def test_adapter_rows_are_independent(
    four_slots: Runner, tokens_by_slot: list[tuple[int, int]]
) -> None:
    runner = four_slots
    rng = random.Random(0)

    def chunk(slot: int, count: int) -> ScheduledChunk:
        cache = SequenceCache()
        cache.reserve(128)
        ids = [rng.randint(300, 3000) for _ in range(count)]
        return ScheduledChunk(cache, ids, 0, wants_logits=True, slot=slot)

    chunks = [chunk(slot, count) for slot, count in tokens_by_slot]
    logits = runner.forward(chunks)
    alone = torch.cat([runner.forward([chunk]) for chunk in chunks])
    torch.testing.assert_close(logits, alone, atol=1e-4, rtol=0)
    base = torch.cat([runner.forward([replace(chunk, slot=BASE)]) for chunk in chunks])
    changed = (logits - base).abs().amax(dim=1) > 1e-3
    assert changed.tolist() == [slot != BASE for slot, _ in tokens_by_slot]


def test_slots_are_allocated_as_needed(adapters: dict[str, Adapter]) -> None:
    bank = AdapterBank(load(ModelSpec("embedded")).model, slots=8)
    for slot, allocated in enumerate((1, 2, 4, 4)):
        bank.put(slot, adapters["plain"])
        assert bank.allocated == allocated
    bank.put(1, adapters["plain"])
    assert bank.allocated == 4


def test_more_adapters_than_slots_wait(loaded: LoadedModel, adapters: dict[str, Adapter]) -> None:
    with Engine(load(ModelSpec("embedded")), Limits(max_adapters=2)) as engine:
        prompts = [
            ask(loaded, text, adapter) for text in QUESTIONS for adapter in adapters.values()
        ]
        together = generate_all(engine, prompts)
        alone = [generate(engine, prompt) for prompt in prompts]
    assert token_ids(together) == token_ids(alone)


def test_other_version_ignores_the_first_ones_prefix(
    engine: Engine, adapters: dict[str, Adapter], loaded: LoadedModel
) -> None:
    text = "Could you make a table of the planets, please? " * 3
    first = generate(engine, ask(loaded, text, adapters["plain"]))
    second = generate(engine, ask(loaded, text, adapters["stabilised"]))
    assert first.result.cached_tokens == second.result.cached_tokens == 0
    expected = generated(adapters["stabilised"], text, loaded)
    assert second.token_ids[: len(expected)] == expected


def test_forgotten_version_leaves_no_prefix(
    engine: Engine, adapters: dict[str, Adapter], loaded: LoadedModel
) -> None:
    prompt = ask(loaded, "Could you make a table of the planets, please? " * 3, adapters["plain"])
    generate(engine, prompt)
    assert generate(engine, prompt).result.cached_tokens > 0
    engine.forget_adapter(adapters["plain"].content_hash)
    assert generate(engine, prompt).result.cached_tokens == 0


def test_uses_count_live_requests(
    engine: Engine, adapters: dict[str, Adapter], loaded: LoadedModel
) -> None:
    plain = adapters["plain"]
    endless = Sampling(temperature=0.0, logit_bias={2: -100.0})
    prompt = Prompt(render(loaded, "Hello!"), endless, max_tokens=None, adapter=plain)
    sink = start(engine, prompt)
    assert sink.started.wait(60)
    assert engine.uses_of(plain.content_hash) == 1
    assert engine.uses_of(adapters["wide"].content_hash) == 0


def test_adapter_version_is_its_content(adapters: dict[str, Adapter]) -> None:
    plain = adapters["plain"]
    assert plain.content_hash == read_adapter(plain.folder, "another-name").content_hash
    assert plain.content_hash != adapters["wide"].content_hash
