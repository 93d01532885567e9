"""Pages and captured steps, as GPUs use them, change no answer. Here without a GPU: the attention
kernel is replaced by gathering pages, and captured steps are run over the same fixed tensors.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from playground.backends.chat import answer
from playground.engine import Engine, Limits
from playground.engine.batch import Piece
from playground.engine.graphs import DecodeGraphs
from playground.engine.paged import PAGE, PagedCache, PagedStep, PagePool, PoolShape, Tables
from playground.engine.paged_runner import PagedRunner
from playground.engine.runner import runner_of
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, ModelInfo, Request, Sampling
from tests.playground.adapter_files import random_adapter
from tests.playground.engine.test_fused_llama import MODELS, PROMPT, random

QUESTIONS = ("What is the capital of Japan?", "Hello!", "What is 3 + 4?", "Wer bist du?")


def long_prompt(name: str) -> list[int]:
    """Longer than a page, where the model's window allows it."""
    return PROMPT * 4 if name != "mistral, window" else PROMPT


@pytest.mark.parametrize("name", MODELS)
def test_logits_over_pages_are_those_of_transformers(name: str) -> None:
    model, prompt = random(name), long_prompt(name)
    runner = runner_of(model, layout="paged")
    assert isinstance(runner, PagedRunner)
    pool = runner.budget(8 * PAGE, context=2 * PAGE)
    own, other = pool.new(), pool.new()
    pool.grow(other, 7)
    pool.grow(own, len(prompt))
    runner.forward([Piece(own, prompt[:60], 0, wants_logits=False)])
    runner.forward(
        [Piece(other, prompt[:6], 0, wants_logits=True), Piece(own, prompt[60:-2], 60, False)]
    )
    runner.forward([Piece(own, prompt[-2:-1], len(prompt) - 2, wants_logits=True)])  # captured
    got = runner.forward(
        [
            Piece(other, prompt[6:7], 6, wants_logits=True),
            Piece(own, prompt[-1:], len(prompt) - 1, wants_logits=True),
        ]
    )
    with torch.inference_mode():
        expected = [model(torch.tensor([ids])).logits[0, -1] for ids in (prompt[:7], prompt)]
    torch.testing.assert_close(got, torch.stack(expected), atol=3e-5, rtol=3e-5)


def kernel_of_torch_2_13(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    begins: Tensor,
    begins_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
    seqused_k: Tensor,
    block_table: Tensor,
    num_splits: int | None,
) -> Tensor:
    """What `varlen_attn` is documented to do, and what it does where it divides keys that it should
    not (pytorch/pytorch issue 194167).
    """
    rows = begins.diff()
    assert rows.max() <= max_q
    assert seqused_k.max() <= max_k
    assert len(block_table) == len(seqused_k) == len(begins_k) - 1 == len(rows)
    assert enable_gqa == (query.shape[1] != keys.shape[2])
    output = torch.zeros_like(query)
    before, after = (side if side >= 0 else max_k for side in window_size)
    for own, used in enumerate(seqused_k.tolist()):
        own_rows = slice(int(begins[own]), int(begins[own + 1]))
        mine, theirs = (
            each[block_table[own].long()].flatten(0, 1)[:used].transpose(0, 1)
            for each in (keys, values)
        )
        place = torch.arange(used)
        asking = place[used - int(rows[own]) :, None]
        mask = (place <= asking + after) & (place >= asking - before)
        output[own_rows] = scaled_dot_product_attention(
            query[own_rows].transpose(0, 1), mine, theirs, mask, scale=scale, enable_gqa=enable_gqa
        ).transpose(0, 1)
    regrouped = max_q == 1 and window_size == (-1, -1) and enable_gqa
    if num_splits != 1 and not regrouped:
        output[int(begins[1]) :] = torch.nan
    return output


@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("kv_heads", [2, 8])
def test_the_kernel_is_asked_for_what_gathered_pages_give(
    monkeypatch: pytest.MonkeyPatch, kv_heads: int, window: int | None
) -> None:
    monkeypatch.setattr("playground.engine.paged.varlen_attn", kernel_of_torch_2_13)
    pool = PagePool(PoolShape(1, kv_heads, 16, torch.float32, torch.device("cpu")), 8 * PAGE)
    lengths = (PAGE + 9, 3, PAGE)
    caches = [pool.new() for _ in lengths]
    for cache, length in zip(caches, lengths, strict=True):
        pool.grow(cache, length + 1)
    prompts = [Piece(own, [0] * end, 0, True) for own, end in zip(caches, lengths, strict=True)]
    singles = [Piece(own, [0], end, True) for own, end in zip(caches, lengths, strict=True)]
    for pieces in (prompts, singles, [prompts[1], singles[0]]):
        rows = sum(len(piece.token_ids) for piece in pieces) + 2
        tables = Tables.of(pieces, rows, torch.device("cpu"))
        torch.manual_seed(2)
        query, key, value = (torch.randn(rows, count, 16) for count in (8, kv_heads, kv_heads))
        widest = max(len(piece.token_ids) for piece in pieces)
        by_kernel, gathered = (
            PagedStep(pool, tables, longest=3 * PAGE, widest=widest, kernel=kernel).attend(
                0, query, key, value, 0.25, window
            )
            for kernel in (True, False)
        )
        torch.testing.assert_close(by_kernel, gathered)


def test_a_pool_gives_each_page_once_and_takes_all_back() -> None:
    shape = PoolShape(1, 2, 4, torch.float32, torch.device("cpu"))
    pool = PagePool(shape, 5 * PAGE)
    caches = [pool.new() for _ in range(3)]
    for cache, tokens in zip(caches, (PAGE + 1, 10, 2 * PAGE), strict=True):
        assert pool.fits(cache, tokens)
        pool.grow(cache, tokens)
    pages = [page for cache in caches for page in cache.pages]
    assert len(set(pages)) == len(pages) == 5
    assert pool.used == pool.total
    assert not pool.fits(caches[1], PAGE + 1)
    for cache in caches:
        pool.release(cache)
    assert pool.used == 0
    assert pool.fits(pool.new(), 5 * PAGE)


def test_a_copied_beginning_is_the_same_and_its_own() -> None:
    shape = PoolShape(2, 1, 4, torch.float32, torch.device("cpu"))
    pool = PagePool(shape, 4 * PAGE)
    first, second = pool.new(), pool.new()
    assert isinstance(second, PagedCache)
    pool.grow(first, PAGE + 9)
    pool.grow(second, PAGE + 9)
    for layer in (0, 1):
        for stored in pool.layer(layer):
            stored[first.pages] = torch.randn(2, PAGE, 1, 4)
    second.copy_from(first, PAGE + 9)
    assert not set(first.pages) & set(second.pages)
    for layer in (0, 1):
        for stored in pool.layer(layer):
            assert torch.equal(stored[first.pages], stored[second.pages])


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """Contiguous, paged, and paged with so little room that sequences are preempted."""
    folder: Path = tmp_path_factory.mktemp("adapters")
    folders = [random_adapter(folder / name, seed, r=8) for seed, name in enumerate("ab")]
    limits = {
        "contiguous": Limits(kv_cache_gib=0.05),
        "paged": Limits(kv_cache_gib=0.05, kv_layout="paged"),
        "tight": Limits(kv_cache_gib=0.003, kv_layout="paged", max_sequences=5, step_tokens=64),
    }
    running: dict[str, Engine] = {}
    for name, limit in limits.items():
        loaded: LoadedModel = load(ModelSpec("embedded"))
        info = ModelInfo(loaded.name, loaded.context_length, created=1)
        running[name] = Engine(loaded, info, limit)
        for adapter in folders:
            running[name].load_adapter(adapter)
    yield running
    for engine in running.values():
        engine.close()


async def ask_all(engine: Engine) -> list[str]:
    sampling = Sampling(temperature=0.0, max_tokens=40)
    requests = [
        Request(model, (Message("user", text * times),), sampling=sampling)
        for model in ("embedded", "a", "b")
        for text in QUESTIONS
        for times in (1, 9)
    ]
    return [each.text for each in await asyncio.gather(*(answer(engine, r) for r in requests))]


@pytest.mark.parametrize("layout", ["paged", "tight"])
async def test_answers_are_the_same_in_pages(engines: dict[str, Engine], layout: str) -> None:
    expected = await ask_all(engines["contiguous"])
    assert await ask_all(engines[layout]) == expected
    assert await ask_all(engines[layout]) == expected  # now with kept prefixes


async def test_a_captured_step_follows_a_swapped_adapter(
    engines: dict[str, Engine], tmp_path: Path
) -> None:
    texts = []
    for seed in (5, 6):
        folder = random_adapter(tmp_path / str(seed), seed, r=8)
        by_layout = []
        for layout in ("contiguous", "paged"):
            engines[layout].load_adapter(folder, "swapped")
            asked = Request(
                "swapped", (Message("user", QUESTIONS[0]),), sampling=Sampling(temperature=0.0)
            )
            by_layout.append((await answer(engines[layout], asked)).text)
        assert by_layout[0] == by_layout[1]
        texts.append(by_layout[0])
    assert texts[0] != texts[1]


async def test_decode_steps_are_captured_once_a_size(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    capture = DecodeGraphs._capture

    def counted(graphs: DecodeGraphs, size: int) -> object:
        sizes.append(size)
        return capture(graphs, size)

    monkeypatch.setattr(DecodeGraphs, "_capture", counted)
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    limits = Limits(kv_cache_gib=0.05, kv_layout="paged", drafts=False)
    with Engine(load(ModelSpec("embedded")), info, limits) as engine:
        for _ in range(2):
            await ask_four(engine)
    assert sizes
    assert len(sizes) == len(set(sizes))


async def ask_four(engine: Engine) -> None:
    asked = [
        Request("embedded", (Message("user", text),), sampling=Sampling(temperature=0.0))
        for text in QUESTIONS
    ]
    await asyncio.gather(*(answer(engine, each) for each in asked))


def test_steps_of_an_int8_model_are_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    def capture(_graphs: DecodeGraphs, _size: int) -> None:
        raise AssertionError("its products wait for the GPU")

    monkeypatch.setattr(DecodeGraphs, "_capture", capture)
    loaded = load(ModelSpec("embedded", quantization="int8"))
    runner = runner_of(loaded.model, layout="paged")
    pool = runner.budget(PAGE, context=PAGE)
    cache = pool.new()
    pool.grow(cache, 8)
    assert runner.forward([Piece(cache, [5], 0, wants_logits=True)]).isfinite().all()
