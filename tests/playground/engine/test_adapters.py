"""Adapters in the batch, against PEFT on a copy of the same base."""

import asyncio
import json
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from playground.backends.chat import Answer, answer
from playground.engine import Engine, Limits
from playground.engine.batch import Piece
from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE
from playground.engine.runner import runner_of
from playground.errors import BrokenAdapter, PlaygroundError, UnknownModel, WrongBase
from playground.models.adapters import read_adapter
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, ModelInfo, Request, Sampling
from tests.playground.adapter_files import random_adapter

QUESTIONS = ("What is the capital of Japan?", "Hello!", "What is 3 + 4?", "Wer bist du?")
KINDS: dict[str, dict[str, Any]] = {
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
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    return {
        name: random_adapter(root / name, seed, **options)
        for seed, (name, options) in enumerate(KINDS.items())
    }


@pytest.fixture
def engine(loaded: LoadedModel) -> Iterator[Engine]:
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    fresh = load(ModelSpec("embedded"))
    with Engine(fresh, info, Limits(max_adapters=4)) as running:
        yield running


def ask(model: str, text: str) -> Request:
    sampling = Sampling(temperature=0.0, max_tokens=20, logprobs=0)
    return Request(model, (Message("user", text),), sampling=sampling)


def ids(got: Answer) -> list[int]:
    return [token.token_id for token in got.logprobs]


def generated(folder: Path, text: str, loaded: LoadedModel) -> list[int]:
    """What PEFT and transformers generate with this adapter."""
    model = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, folder)
    prompt = loaded.tokenizer.render((Message("user", text),))
    out = model.generate(
        input_ids=torch.tensor([prompt]), max_new_tokens=20, do_sample=False, pad_token_id=11
    )[0, len(prompt) :].tolist()
    end = next(iter(loaded.tokenizer.end_ids))
    return out[: out.index(end)] if end in out else out


@pytest.mark.parametrize("kind", KINDS)
async def test_an_adapters_answer_is_what_peft_generates(
    engine: Engine, folders: dict[str, Path], loaded: LoadedModel, kind: str
) -> None:
    engine.load_adapter(folders[kind])
    for text in QUESTIONS[:2]:
        expected = generated(folders[kind], text, loaded)
        assert ids(await answer(engine, ask(f"embedded:{kind}", text)))[: len(expected)] == expected


async def test_adapters_mixed_in_a_batch_answer_as_each_does_alone(
    engine: Engine, folders: dict[str, Path]
) -> None:
    for folder in folders.values():
        engine.load_adapter(folder)
    requests = [ask(name, text) for name in ("embedded", *folders) for text in QUESTIONS]
    alone = [await answer(engine, ask(each.model, each.messages[0].content)) for each in requests]
    mixed = await asyncio.gather(*(answer(engine, request) for request in requests))
    assert [each.text for each in mixed] == [each.text for each in alone]
    by_model = {r.model: ids(a) for r, a in zip(requests, mixed, strict=True)}
    assert len({tuple(tokens) for tokens in by_model.values()}) == len(by_model)


@pytest.mark.parametrize(
    "tokens_by_slot",
    [
        [(BASE, 1), (0, 1), (2, 1), (0, 70), (1, 80)],
        [(2, 1), (2, 1), (2, 40)],
        [(BASE, 90), (1, 64), (3, 100)],
        [(3, 1), (1, 30), (2, 64), (3, 65)],
    ],
)
def test_an_adapters_rows_come_out_the_same_whatever_stands_beside_them(
    tmp_path: Path, tokens_by_slot: list[tuple[int, int]]
) -> None:
    runner = runner_of(load(ModelSpec("embedded")).model)
    for slot in range(4):
        folder = random_adapter(tmp_path / str(slot), slot, r=8)
        runner.adapters.put(slot, read_adapter(folder))
    rng = random.Random(0)

    def pieces() -> list[Piece]:
        made = []
        for slot, count in tokens_by_slot:
            cache = SequenceCache()
            cache.reserve(128)
            ids = [rng.randint(300, 3000) for _ in range(count)]
            made.append(Piece(cache, ids, 0, wants_logits=True, slot=slot))
        return made

    together = pieces()
    logits = runner.forward(together)
    alone = torch.cat([runner.forward([each]) for each in together])
    torch.testing.assert_close(logits, alone, atol=1e-4, rtol=0)
    base = torch.cat([runner.forward([replace(each, slot=BASE)]) for each in together])
    changed = (logits - base).abs().amax(dim=1) > 1e-3
    assert changed.tolist() == [slot != BASE for slot, _ in tokens_by_slot]


async def test_more_adapters_than_slots_wait_and_are_all_answered(
    loaded: LoadedModel, folders: dict[str, Path]
) -> None:
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    with Engine(load(ModelSpec("embedded")), info, Limits(max_adapters=2)) as engine:
        for folder in folders.values():
            engine.load_adapter(folder)
        requests = [ask(name, text) for text in QUESTIONS for name in folders]
        together = await asyncio.gather(*(answer(engine, request) for request in requests))
        alone = [await answer(engine, ask(r.model, r.messages[0].content)) for r in requests]
    assert [each.text for each in together] == [each.text for each in alone]


async def test_a_new_version_answers_at_once_and_never_from_the_old_ones_prefix(
    engine: Engine, folders: dict[str, Path], loaded: LoadedModel
) -> None:
    text = "Could you make a table of the planets, please? " * 3
    engine.load_adapter(folders["plain"], "expert")
    await answer(engine, ask("expert", text))
    engine.load_adapter(folders["stabilised"], "expert")
    second = await answer(engine, ask("expert", text))
    assert second.usage.cached_tokens == 0
    expected = generated(folders["stabilised"], text, loaded)
    assert ids(second)[: len(expected)] == expected


async def test_swapping_under_load_loses_and_mixes_nothing(
    engine: Engine, folders: dict[str, Path], loaded: LoadedModel
) -> None:
    expected = {
        version: generated(folders[version], QUESTIONS[0], loaded)
        for version in ("plain", "stabilised")
    }
    engine.load_adapter(folders["plain"], "expert")
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.wait(0.02):
            turn += 1
            engine.load_adapter(folders[("plain", "stabilised")[turn % 2]], "expert")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        got = await asyncio.gather(
            *(answer(engine, ask("expert", QUESTIONS[0])) for _ in range(48))
        )
    finally:
        stop.set()
        swapper.join()
    for each in got:
        assert any(ids(each)[: len(known)] == known for known in expected.values())


async def test_an_unloaded_adapter_is_unknown_and_the_base_goes_on(
    engine: Engine, folders: dict[str, Path]
) -> None:
    engine.load_adapter(folders["plain"])
    assert [info.name for info in engine.models()] == ["embedded", "embedded:plain"]
    engine.unload_adapter("plain")
    with pytest.raises(UnknownModel):
        await answer(engine, ask("plain", "Hello!"))
    assert (await answer(engine, ask("embedded", QUESTIONS[0]))).text


BREAKS: dict[str, tuple[type[PlaygroundError], str]] = {
    "missing": (BrokenAdapter, "has no adapter_config.json"),
    "pickle": (BrokenAdapter, "pickled weights"),
    "truncated": (BrokenAdapter, "damaged"),
    "dora": (BrokenAdapter, "DoRA"),
    "not finite": (BrokenAdapter, "not finite"),
    "other base": (WrongBase, "was made for"),
}


@pytest.mark.parametrize("fault", BREAKS)
async def test_a_broken_adapter_is_refused_and_what_was_served_goes_on(
    engine: Engine, folders: dict[str, Path], tmp_path: Path, fault: str
) -> None:
    engine.load_adapter(folders["plain"], "expert")
    before = await answer(engine, ask("expert", QUESTIONS[0]))
    folder = tmp_path / "broken"
    shutil.copytree(folders["stabilised"], folder)
    weights = folder / "adapter_model.safetensors"
    if fault == "missing":
        (folder / "adapter_config.json").unlink()
    elif fault == "pickle":
        weights.rename(folder / "adapter_model.bin")
    elif fault == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif fault == "dora":
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    else:
        tensors = load_file(weights)
        key = next(iter(tensors))
        if fault == "not finite":
            tensors[key][0, 0] = float("nan")
        else:
            tensors[key] = torch.zeros(tensors[key].shape[0], 77)
        save_file(tensors, weights)
    error, words = BREAKS[fault]
    with pytest.raises(error, match=words):
        engine.load_adapter(folder, "expert")
    after = await answer(engine, ask("expert", QUESTIONS[0]))
    assert after.text == before.text


def test_an_adapters_version_is_its_content(folders: dict[str, Path]) -> None:
    plain = read_adapter(folders["plain"])
    assert plain.content_hash == read_adapter(folders["plain"], "another-name").content_hash
    assert plain.content_hash != read_adapter(folders["wide"]).content_hash
