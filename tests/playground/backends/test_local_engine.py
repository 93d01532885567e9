"""Text, stop strings, names of adapters and cancelled streams over the local backend.

The properties that the engine cannot have alone, since it knows token ids only.
"""

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from playground.backends.local import LocalBackend
from playground.errors import BrokenAdapter, PlaygroundError, UnknownModel, WrongBase
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Answer, Message, Request, Sampling, collect
from tests.playground.adapter_files import random_adapter

QUESTIONS = ("What is the capital of Japan?", "Hello!", "What is 3 + 4?", "Wer bist du?")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    options = {"plain": {"r": 8, "lora_alpha": 16}, "stabilised": {"r": 4, "use_rslora": True}}
    return {
        name: random_adapter(root / name, seed, **chosen)
        for seed, (name, chosen) in enumerate(options.items())
    }


@pytest.fixture
def backend() -> Iterator[LocalBackend]:
    with LocalBackend(load(ModelSpec("embedded"))) as running:
        yield running


def ask(model: str, text: str, stop: tuple[str, ...] = ()) -> Request:
    sampling = Sampling(temperature=0.0, max_tokens=20, logprobs=0, stop=stop)
    return Request(model, (Message("user", text),), sampling=sampling)


async def answer(backend: LocalBackend, request: Request) -> Answer:
    return await collect(backend.stream(request))


def ids(answered: Answer) -> list[int]:
    return [token.token_id for token in answered.logprobs]


def generated(folder: Path, text: str, loaded: LoadedModel) -> list[int]:
    """Generate with this adapter by PEFT and transformers."""
    model = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, folder)
    prompt = loaded.tokenizer.render((Message("user", text),))
    out = model.generate(
        input_ids=torch.tensor([prompt]), max_new_tokens=20, do_sample=False, pad_token_id=11
    )[0, len(prompt) :].tolist()
    end = next(iter(loaded.tokenizer.end_ids))
    return out[: out.index(end)] if end in out else out


async def test_stop_string_ends_the_answer_unseen(backend: LocalBackend) -> None:
    whole = await answer(backend, ask("embedded", QUESTIONS[0]))
    stop = whole.text[5:12]
    cut = await answer(backend, ask("embedded", QUESTIONS[0], stop=(stop,)))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"


async def test_closed_stream_frees_the_slot(backend: LocalBackend) -> None:
    sampling = Sampling(temperature=0.0, logit_bias={2: -100.0})
    endless = Request("embedded", (Message("user", "Hello!"),), sampling=sampling)
    async with aclosing(backend.stream(endless)) as pieces:
        await anext(pieces)
        assert backend.engine.live_requests == 1
    await answer(backend, ask("embedded", "Hello!"))  # at the latest now a step has passed
    assert backend.engine.live_requests == 0


@pytest.mark.slow
async def test_new_version_answers_at_once(
    backend: LocalBackend, folders: dict[str, Path], loaded: LoadedModel
) -> None:
    text = "Could you make a table of the planets, please? " * 3
    backend.load_adapter(folders["plain"], "tuned")
    await answer(backend, ask("tuned", text))
    backend.load_adapter(folders["stabilised"], "tuned")
    second = await answer(backend, ask("tuned", text))
    assert second.usage.cached_tokens == 0
    expected = generated(folders["stabilised"], text, loaded)
    assert ids(second)[: len(expected)] == expected


@pytest.mark.slow
async def test_swapping_under_load_mixes_nothing(
    backend: LocalBackend, folders: dict[str, Path], loaded: LoadedModel
) -> None:
    versions = ("plain", "stabilised")
    expected = [generated(folders[version], QUESTIONS[0], loaded) for version in versions]
    backend.load_adapter(folders["plain"], "tuned")
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.wait(0.02):
            turn += 1
            backend.load_adapter(folders[versions[turn % 2]], "tuned")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        answers = await asyncio.gather(
            *(answer(backend, ask("tuned", QUESTIONS[0])) for _ in range(48))
        )
    finally:
        stop.set()
        swapper.join()
    for answered in answers:
        assert any(ids(answered)[: len(known)] == known for known in expected)


async def test_unloaded_adapter_is_unknown(backend: LocalBackend, folders: dict[str, Path]) -> None:
    backend.load_adapter(folders["plain"])
    assert [info.name for info in await backend.models()] == ["embedded", "embedded:plain"]
    backend.unload_adapter("plain")
    with pytest.raises(UnknownModel):
        await answer(backend, ask("plain", "Hello!"))
    assert (await answer(backend, ask("embedded", QUESTIONS[0]))).text


BREAKS: Mapping[str, tuple[type[PlaygroundError], str]] = {
    "missing": (BrokenAdapter, "has no adapter_config.json"),
    "pickle": (BrokenAdapter, "pickled weights"),
    "truncated": (BrokenAdapter, "damaged"),
    "dora": (BrokenAdapter, "DoRA"),
    "not finite": (BrokenAdapter, "not finite"),
    "other base": (WrongBase, "was made for"),
}


def break_adapter(folder: Path, fault: str) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("fault", BREAKS)
async def test_broken_adapter_is_refused_and_serving_goes_on(
    backend: LocalBackend, folders: dict[str, Path], tmp_path: Path, fault: str
) -> None:
    backend.load_adapter(folders["plain"], "tuned")
    before = await answer(backend, ask("tuned", QUESTIONS[0]))
    folder = tmp_path / "broken"
    shutil.copytree(folders["stabilised"], folder)
    break_adapter(folder, fault)
    error, words = BREAKS[fault]
    with pytest.raises(error, match=words):
        backend.load_adapter(folder, "tuned")
    after = await answer(backend, ask("tuned", QUESTIONS[0]))
    assert after.text == before.text
