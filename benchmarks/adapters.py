"""The cost of adapters while people chat: swaps, mixed batches, training beside answers.

    python -m benchmarks.adapters [--rounds 5] [--swap-seconds 30]

- swap latency: `LocalBackend.load_adapter` of a published version under a name that 16 clients ask
  all the time, one swap every two seconds; each answer must be that of a version served by then.
- decode throughput of 16 streams with one and with four adapters in the batch ÷ the base alone.
- inter-token latency of a chat beside a low-priority training job ÷ without it.
- training time beside an idle engine ÷ training alone.

Ratios within one run, medians of rounds.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.data.dataset import TrainingData, prepare
from finetune.recipe import embedded_cpu
from finetune.training.hooks import TrainingHooks
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Delta, Message, Request, Sampling, collect
from playground.runtime import quiet_libraries
from playground.studio.studio import SAMPLES

CLIENTS, STREAMS, NEW_TOKENS = 16, 16, 64
SWAP_EVERY_S = 2.0
QUESTION = (Message("user", "Tell me about Rome."),)


def request(model: str, tokens: int = NEW_TOKENS) -> Request:
    sampling = Sampling(temperature=0.0, max_tokens=tokens, logit_bias={2: -100.0})
    return Request(model, QUESTION, sampling=sampling)


def catalogue_data(loaded: LoadedModel, home: Path) -> TrainingData:
    return prepare([SAMPLES / "catalogue.jsonl"], loaded.tokenizer, home).select(embedded_cpu())


def adapters(folder: Path, loaded: LoadedModel, count: int) -> list[Path]:
    """Small adapters, trained for some steps from different seeds."""
    data = catalogue_data(loaded, folder)
    found = []
    for seed in range(count):
        recipe = replace(embedded_cpu(), max_steps=6, seed=seed, replay_fraction=0.0, eval_steps=0)
        done = train(recipe, loaded, data, folder / f"run{seed}", f"adapter{seed}")
        assert done.folder
        found.append(done.folder)
    return found


async def text_of(backend: LocalBackend, asked: Request) -> tuple[str, str]:
    answer = await collect(backend.stream(asked))
    return answer.text, answer.provenance.adapter_hash


async def swaps(backend: LocalBackend, folders: Sequence[Path], seconds: float) -> dict[str, float]:
    """Swap under load; counts answers that are lost or not those of the version they name."""
    wanted: dict[str, str] = {}
    for folder in folders:
        info = backend.load_adapter(folder, "moving")
        wanted[info.provenance.adapter_hash], _ = await text_of(backend, request("moving"))
    until, took, answers, wrong = time.monotonic() + seconds, [], 0, 0

    async def client() -> None:
        nonlocal answers, wrong
        while time.monotonic() < until:
            text, adapter_hash = await text_of(backend, request("moving"))
            answers += 1
            wrong += wanted.get(adapter_hash) != text

    async def swap() -> None:
        at = 0
        while time.monotonic() < until:
            await asyncio.sleep(SWAP_EVERY_S)
            at += 1
            began = time.perf_counter()
            await asyncio.to_thread(backend.load_adapter, folders[at % len(folders)], "moving")
            took.append(1000 * (time.perf_counter() - began))

    await asyncio.gather(swap(), *(client() for _ in range(CLIENTS)))
    took.sort()
    return {
        "swaps": len(took),
        "swap p50, ms": statistics.median(took),
        "swap p95, ms": took[min(len(took) - 1, round(0.95 * len(took)))],
        "answers": answers,
        "answers lost or mixed": wrong,
    }


async def throughput(backend: LocalBackend, models: Sequence[str]) -> float:
    """Tokens a second of 16 streams, the models in turn."""
    began = time.perf_counter()
    each = [request(models[at % len(models)]) for at in range(STREAMS)]
    await asyncio.gather(*(text_of(backend, asked) for asked in each))
    return STREAMS * NEW_TOKENS / (time.perf_counter() - began)


def mixed(backend: LocalBackend, names: Sequence[str], rounds: int) -> dict[str, float]:
    ways = {"base": ["embedded"], "one adapter": names[:1], "four adapters": names[:4]}
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):  # the first one warms up
        for way, models in ways.items():
            found[way].append(asyncio.run(throughput(backend, models)))
    medians = {way: statistics.median(values[1:]) for way, values in found.items()}
    return {
        "base, tokens/s": medians["base"],
        "one adapter ÷ base": medians["one adapter"] / medians["base"],
        "four adapters ÷ base": medians["four adapters"] / medians["base"],
    }


async def gaps(backend: LocalBackend, tokens: int = 400) -> list[float]:
    """Milliseconds between the tokens of one chat."""
    times = []
    async for event in backend.stream(request("embedded", tokens)):
        if isinstance(event, Delta) and event.text:
            times.append(time.perf_counter())
    return [1000 * (b - a) for a, b in itertools.pairwise(times)]


def beside(
    loaded: LoadedModel, backend: LocalBackend, rounds: int, folder: Path
) -> dict[str, float]:
    """A chat beside low-priority training, and training beside an engine that has nothing to do."""
    data = catalogue_data(loaded, folder)
    recipe = replace(embedded_cpu(), replay_fraction=0.0, eval_steps=0, sample_steps=0)
    alone: list[float] = []
    busy: list[float] = []
    times: dict[str, list[float]] = {"alone": [], "beside": []}
    for at in range(rounds):
        alone += asyncio.run(gaps(backend))
        hooks = TrainingHooks(throttle=backend.throttle.wait)
        job = threading.Thread(
            target=train,
            args=(recipe, loaded, data, folder / f"busy{at}", "busy", hooks),
        )
        job.start()
        while not (folder / f"busy{at}/metrics.jsonl").exists():
            time.sleep(0.05)
        for _ in range(3):
            busy += asyncio.run(gaps(backend))
        hooks.stop_event.set()
        job.join()
        short = replace(recipe, max_steps=24)
        for way, turn in (("alone", None), ("beside", backend.throttle.wait)):
            run = folder / f"{way}{at}"
            done = train(short, loaded, data, run, way, TrainingHooks(throttle=turn))
            times[way].append(done.seconds)
    return {
        "inter-token latency alone, p50 ms": statistics.median(alone),
        "beside low-priority training ÷ alone, p50": statistics.median(busy)
        / statistics.median(alone),
        "the same, p95": p95(busy) / p95(alone),
        "training beside idle chat ÷ alone": statistics.median(times["beside"])
        / statistics.median(times["alone"]),
    }


def p95(values: Sequence[float]) -> float:
    return sorted(values)[round(0.95 * (len(values) - 1))]


def main() -> None:
    """Print one JSON object."""
    quiet_libraries()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--swap-seconds", type=float, default=30.0)
    given = parser.parse_args()
    loaded = load(ModelSpec("embedded"))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, LocalBackend(loaded) as backend:
        folders = adapters(Path(folder), loaded, 4)
        found |= asyncio.run(swaps(backend, folders, given.swap_seconds))
        names = [backend.load_adapter(each, f"e{at}").name for at, each in enumerate(folders)]
        found |= mixed(backend, names, given.rounds)
        found |= beside(loaded, backend, given.rounds, Path(folder))
    print(
        json.dumps(
            {key: round(value, 3) for key, value in found.items()}, indent=1, ensure_ascii=False
        )
    )


if __name__ == "__main__":
    main()
