"""Blocks and captured steps, as GPUs use them, change no answer. Here without a GPU: the attention
kernel is replaced by gathering blocks, and captured steps are run over the same fixed tensors.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from playground.engine import Engine, Limits
from playground.engine.batch import ScheduledChunk
from playground.engine.graphs import DecodeGraphs
from playground.engine.lora import BASE, AdapterBank, RowSpan
from playground.engine.paged import (
    BLOCK_SIZE,
    AttentionMetadata,
    BlockPool,
    PagedStep,
    PoolShape,
)
from playground.engine.paged_runner import PagedRunner
from playground.engine.runner import choose_runner
from playground.models.adapters import Adapter, read_adapter
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from tests.playground.adapter_files import random_adapter
from tests.playground.engine.driver import Prompt, generate, generate_all, render, token_ids
from tests.playground.engine.test_fused_llama import MODELS, PROMPT, random

pytestmark = pytest.mark.slow

QUESTIONS = ("What is the capital of Japan?", "Hello!", "What is 3 + 4?", "Wer bist du?")


def long_prompt(name: str) -> list[int]:
    """Longer than a block, where the model's window allows it."""
    return PROMPT * 4 if name != "mistral, window" else PROMPT


@pytest.mark.parametrize("name", MODELS)
def test_paged_logits_equal_transformers(name: str) -> None:
    model, prompt = random(name), long_prompt(name)
    runner = choose_runner(model, layout="paged")
    assert isinstance(runner, PagedRunner)
    pool = runner.budget(8 * BLOCK_SIZE, context_length=2 * BLOCK_SIZE)
    cache, other = pool.new(), pool.new()
    pool.grow(other, 7)
    pool.grow(cache, len(prompt))
    runner.forward([ScheduledChunk(cache, prompt[:60], 0, wants_logits=False)])
    runner.forward(
        [
            ScheduledChunk(other, prompt[:6], 0, True),
            ScheduledChunk(cache, prompt[60:-2], 60, False),
        ]
    )
    runner.forward(
        [ScheduledChunk(cache, prompt[-2:-1], len(prompt) - 2, wants_logits=True)]
    )  # captured
    got = runner.forward(
        [
            ScheduledChunk(other, prompt[6:7], 6, wants_logits=True),
            ScheduledChunk(cache, prompt[-1:], len(prompt) - 1, wants_logits=True),
        ]
    )
    with torch.inference_mode():
        expected = [model(torch.tensor([ids])).logits[0, -1] for ids in (prompt[:7], prompt)]
    torch.testing.assert_close(got, torch.stack(expected), atol=3e-5, rtol=3e-5)


def kernel_of_torch_2_13(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
    seqused_k: Tensor,
    block_table: Tensor,
    num_splits: int | None,
) -> Tensor:
    """Do what `varlen_attn` is documented to do, and what it does where it divides keys that it
    should not (pytorch/pytorch issue 194167).
    """
    rows = cu_seqlens_q.diff()
    assert rows.max() <= max_seqlen_q
    assert seqused_k.max() <= max_seqlen_k
    assert len(block_table) == len(seqused_k) == len(cu_seqlens_k) - 1 == len(rows)
    assert enable_gqa == (query.shape[1] != keys.shape[2])
    output = torch.zeros_like(query)
    before, after = (side if side >= 0 else max_seqlen_k for side in window_size)
    for i, used in enumerate(seqused_k.tolist()):
        sequence_rows = slice(int(cu_seqlens_q[i]), int(cu_seqlens_q[i + 1]))
        sequence_keys, sequence_values = (
            stored[block_table[i].long()].flatten(0, 1)[:used].transpose(0, 1)
            for stored in (keys, values)
        )
        positions = torch.arange(used)
        row_positions = positions[used - int(rows[i]) :, None]
        mask = (positions <= row_positions + after) & (positions >= row_positions - before)
        output[sequence_rows] = scaled_dot_product_attention(
            query[sequence_rows].transpose(0, 1),
            sequence_keys,
            sequence_values,
            mask,
            scale=scale,
            enable_gqa=enable_gqa,
        ).transpose(0, 1)
    regrouped = max_seqlen_q == 1 and window_size == (-1, -1) and enable_gqa
    if num_splits != 1 and not regrouped:
        output[int(cu_seqlens_q[1]) :] = torch.nan
    return output


@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("kv_heads", [2, 8])
def test_kernel_arguments_equal_gathering(
    monkeypatch: pytest.MonkeyPatch, kv_heads: int, window: int | None
) -> None:
    monkeypatch.setattr("playground.engine.paged.varlen_attn", kernel_of_torch_2_13)
    pool = BlockPool(PoolShape(1, kv_heads, 16, torch.float32, torch.device("cpu")), 8 * BLOCK_SIZE)
    no_adapters = AdapterBank(random("llama"), 1).for_rows([BASE])
    prompts, decodes = [], []
    for length in (BLOCK_SIZE + 9, 3, BLOCK_SIZE):
        cache = pool.new()
        pool.grow(cache, length + 1)
        prompts.append(ScheduledChunk(cache, [0] * length, 0, wants_logits=True))
        decodes.append(ScheduledChunk(cache, [0], length, wants_logits=True))
    for chunks in (prompts, decodes, [prompts[1], decodes[0]]):
        rows = sum(len(chunk.token_ids) for chunk in chunks) + 2
        metadata = AttentionMetadata.of(chunks, rows, torch.device("cpu"))
        metadata = replace(metadata, max_seqlen_k=3 * BLOCK_SIZE)
        torch.manual_seed(2)
        query, key, value = (torch.randn(rows, count, 16) for count in (8, kv_heads, kv_heads))
        by_kernel, gathered = (
            PagedStep(pool, metadata, no_adapters, use_kernel=use_kernel).attend(
                0, query, key, value, 0.25, window
            )
            for use_kernel in (True, False)
        )
        torch.testing.assert_close(by_kernel, gathered)


def test_pool_gives_each_block_once() -> None:
    shape = PoolShape(1, 2, 4, torch.float32, torch.device("cpu"))
    pool = BlockPool(shape, 5 * BLOCK_SIZE)
    caches = [pool.new() for _ in range(3)]
    for cache, tokens in zip(caches, (BLOCK_SIZE + 1, 10, 2 * BLOCK_SIZE), strict=True):
        assert pool.fits(cache, tokens)
        pool.grow(cache, tokens)
    blocks = [block for cache in caches for block in cache.blocks]
    assert len(set(blocks)) == len(blocks) == 5
    assert pool.used == pool.total
    assert not pool.fits(caches[1], BLOCK_SIZE + 1)
    for cache in caches:
        pool.release(cache)
    assert pool.used == 0
    assert pool.fits(pool.new(), 5 * BLOCK_SIZE)


def test_copied_prefix_has_blocks_of_its_own() -> None:
    shape = PoolShape(2, 1, 4, torch.float32, torch.device("cpu"))
    pool = BlockPool(shape, 4 * BLOCK_SIZE)
    first, second = pool.new(), pool.new()
    pool.grow(first, BLOCK_SIZE + 9)
    pool.grow(second, BLOCK_SIZE + 9)
    for layer in (0, 1):
        for stored in pool.layer(layer):
            stored[first.blocks] = torch.randn(2, BLOCK_SIZE, 1, 4)
    pool.copy(first, second, BLOCK_SIZE + 9)
    assert not set(first.blocks) & set(second.blocks)
    for layer in (0, 1):
        for stored in pool.layer(layer):
            assert torch.equal(stored[first.blocks], stored[second.blocks])


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Engine]]:
    """Contiguous, paged, and paged with so little room that sequences are preempted."""
    limits = {
        "contiguous": Limits(kv_cache_gib=0.05),
        "paged": Limits(kv_cache_gib=0.05, kv_layout="paged"),
        "tight": Limits(kv_cache_gib=0.003, kv_layout="paged", max_sequences=5, step_tokens=64),
    }
    running = {name: Engine(load(ModelSpec("embedded")), limit) for name, limit in limits.items()}
    yield running
    for engine in running.values():
        engine.close()


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    folder = tmp_path_factory.mktemp("adapters")
    return [
        read_adapter(random_adapter(folder / name, seed, r=8)) for seed, name in enumerate("ab")
    ]


@pytest.fixture(scope="module")
def asked(adapters: list[Adapter], loaded: LoadedModel) -> list[Prompt]:
    """Short and long prompts, to the base and to each adapter."""
    return [
        Prompt(render(loaded, text * times), max_tokens=40, adapter=adapter)
        for adapter in (None, *adapters)
        for text in QUESTIONS
        for times in (1, 9)
    ]


@pytest.fixture(scope="module")
def expected(engines: dict[str, Engine], asked: list[Prompt]) -> list[list[int]]:
    return token_ids(generate_all(engines["contiguous"], asked))


@pytest.mark.parametrize("layout", ["paged", "tight"])
def test_paged_answers_equal_contiguous(
    engines: dict[str, Engine], asked: list[Prompt], expected: list[list[int]], layout: str
) -> None:
    assert token_ids(generate_all(engines[layout], asked)) == expected
    assert token_ids(generate_all(engines[layout], asked)) == expected  # now with kept prefixes


def test_captured_step_follows_swapped_adapter(
    engines: dict[str, Engine], loaded: LoadedModel, tmp_path: Path
) -> None:
    answers = []
    for seed in (5, 6):
        adapter = read_adapter(random_adapter(tmp_path / str(seed), seed, r=8), "swapped")
        prompt = Prompt(render(loaded, QUESTIONS[0]), max_tokens=None, adapter=adapter)
        contiguous, paged = (
            generate(engines[layout], prompt).token_ids for layout in ("contiguous", "paged")
        )
        assert contiguous == paged
        answers.append(contiguous)
    assert answers[0] != answers[1]


@pytest.fixture(scope="module")
def with_adapters(adapters: list[Adapter]) -> PagedRunner:
    """The forward, with an adapter in each of two slots."""
    runner = choose_runner(load(ModelSpec("embedded")).model, layout="paged")
    assert isinstance(runner, PagedRunner)
    for slot, adapter in enumerate(adapters):
        runner.adapters.put(slot, adapter)
    return runner


@pytest.mark.parametrize("slots", [[0] + [BASE] * 19, [1] * 20, [0, 1] * 10, [BASE] * 20])
def test_captured_step_reads_the_slots_it_is_given(
    with_adapters: PagedRunner, slots: list[int]
) -> None:
    """Decode steps over fixed tensors, filled twice with other slots, against steps of one row."""
    runner = with_adapters
    pool = runner.budget(64 * BLOCK_SIZE, context_length=BLOCK_SIZE)
    caches = [pool.new() for _ in slots]
    for cache in caches:
        pool.grow(cache, 2)
    for given in (slots, slots[::-1]):
        chunks = [
            ScheduledChunk(cache, [300 + i], 0, wants_logits=True, slot=slot)
            for i, (cache, slot) in enumerate(zip(caches, given, strict=True))
        ]
        together = runner.forward(chunks).clone()
        alone = torch.cat([runner.forward([chunk]).clone() for chunk in chunks])
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_decode_steps_are_captured_once_a_size(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    capture = DecodeGraphs._capture

    def counted(graphs: DecodeGraphs, size: int, spans: tuple[RowSpan, ...]) -> object:
        sizes.append(size)
        return capture(graphs, size, spans)

    monkeypatch.setattr(DecodeGraphs, "_capture", counted)
    prompts = [Prompt(render(loaded, text), max_tokens=None) for text in QUESTIONS]
    limits = Limits(kv_cache_gib=0.05, kv_layout="paged", drafts=False)
    with Engine(load(ModelSpec("embedded")), limits) as engine:
        for _ in range(2):
            generate_all(engine, prompts)
    assert sizes
    assert len(sizes) == len(set(sizes))


def test_int8_steps_are_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    def capture(_graphs: DecodeGraphs, _size: int, _spans: tuple[RowSpan, ...]) -> None:
        raise AssertionError("its matmuls wait for the GPU")

    monkeypatch.setattr(DecodeGraphs, "_capture", capture)
    monkeypatch.setattr("playground.models.int_linear.has_int_kernels", lambda: False)
    loaded = load(ModelSpec("embedded", quantization="int8"))
    runner = choose_runner(loaded.model, layout="paged")
    pool = runner.budget(BLOCK_SIZE, context_length=BLOCK_SIZE)
    cache = pool.new()
    pool.grow(cache, 8)
    chunk = ScheduledChunk(cache, [5], 0, wants_logits=True)
    assert runner.forward([chunk]).isfinite().all()
