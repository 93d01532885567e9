"""A whole run: every measure several times, interleaved with the peers', medians at the end."""

import copy
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import MistralForCausalLM

from playground.bench.measures import Prompts, first_token, request, throughput, turns
from playground.bench.peers import ContinuousBatching, Work, static_generate
from playground.bench.shapes import loaded_shape, random_adapters
from playground.engine import Engine, Limits
from playground.models.loaded import LoadedModel
from playground.protocol import ModelInfo

STREAMS = (1, 4, 16, 32)
ADAPTERS = 4
OURS, STATIC, BATCHING = "playground", "generate", "continuous batching"
COPIED_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Line:
    """A measure's medians: tokens a second, or seconds where ``unit`` says so, by system."""

    name: str
    unit: str
    medians: dict[str, float]

    def ratio(self, of: str, to: str) -> float | None:
        """How many times as much; None where one of them was not measured."""
        if of not in self.medians or to not in self.medians:
            return None
        return self.medians[of] / self.medians[to]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found. ``floor`` is the largest possible tokens a second of one stream: memory
    bandwidth in bytes a second over the bytes of the weights.
    """

    shape: str
    precision: str
    threads: int
    bandwidth: float
    floor: float
    rounds: int
    lines: tuple[Line, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        lines = [{"name": x.name, "unit": x.unit, "medians": x.medians} for x in self.lines]
        return {
            "shape": self.shape,
            "precision": self.precision,
            "threads": self.threads,
            "bandwidth_bytes_per_s": round(self.bandwidth),
            "floor_tokens_per_s": round(self.floor, 1),
            "rounds": self.rounds,
            "lines": lines,
        }


def memory_bandwidth(rounds: int = 5) -> float:
    """Bytes read a second, as a sum over a tensor larger than any cache reads them."""
    data = torch.ones(COPIED_BYTES // 4)
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        data.sum()
        times.append(time.perf_counter() - began)
    return COPIED_BYTES / min(times)


class Bench:
    """One model of a shape under the engine, and copies of it under the peers."""

    def __init__(self, shape: str, precision: str, *, peers: bool, stack: ExitStack) -> None:
        loaded = loaded_shape(shape, precision)
        self.model = shape
        self.weights_bytes = sum(
            parameter.numel() * parameter.element_size()
            for name, parameter in loaded.model.named_parameters()
            if "embed" not in name
        )
        self.static: MistralForCausalLM | None = copy.deepcopy(loaded.model) if peers else None
        self.batching = ContinuousBatching(copy.deepcopy(loaded.model)) if peers else None
        if self.batching:
            stack.callback(self.batching.close)
        self.engine = stack.enter_context(_engine(loaded))
        folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, folder)
        self.adapters = [
            self.engine.load_adapter(path).name for path in random_adapters(shape, folder, ADAPTERS)
        ]

    def round(self, seed: int) -> Iterator[tuple[str, str, str, float]]:
        """Every measure once: its name, unit, the system, the value."""
        prompts = Prompts(seed)
        for streams in STREAMS:
            work: Work = [(prompt, 64) for prompt in prompts.many(streams, 64)]
            yield from self._compare(f"{streams} streams, 64 + 64", work)
        yield from self._compare("16 streams, 512 + 64", [(p, 64) for p in prompts.many(16, 512)])
        yield from self._compare("32 of mixed length", prompts.mixed(32))
        mixed = [
            request(self.adapters[at % ADAPTERS], prompt, 64)
            for at, prompt in enumerate(prompts.many(16, 64))
        ]
        yield f"16 streams, {ADAPTERS} adapters", "tokens/s", OURS, throughput(self.engine, mixed)
        asked = request(self.model, prompts.one(600), 1)
        yield "first token, 600 tokens", "s", OURS, first_token(self.engine, asked)
        warm, cold = turns(self.engine, self.model, prompts)
        yield "first token, turn 10", "s", OURS, warm
        yield "first token, turn 10, no prefix", "s", OURS, cold

    def _compare(self, name: str, work: Work) -> Iterator[tuple[str, str, str, float]]:
        requests = [request(self.model, prompt, new) for prompt, new in work]
        yield name, "tokens/s", OURS, throughput(self.engine, requests)
        if self.static:
            yield name, "tokens/s", STATIC, static_generate(self.static, work)
        if self.batching:
            yield name, "tokens/s", BATCHING, self.batching.throughput(work)


def run(
    shape: str,
    precision: str,
    *,
    rounds: int = 5,
    peers: bool = False,
    threads: int = 1,
    tell: Callable[[str], None] = print,
) -> Report:
    """Measure ``rounds`` times after one round that warms up. Raises `InvalidSettings`."""
    torch.set_num_threads(threads)
    values: defaultdict[tuple[str, str], defaultdict[str, list[float]]]
    values = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        bench = Bench(shape, precision, peers=peers, stack=stack)
        bandwidth = memory_bandwidth()
        for number in range(rounds + 1):
            for name, unit, system, value in bench.round(seed=number):
                if number:
                    values[name, unit][system].append(value)
            tell(f"round {number} of {rounds}" if number else "warmed up")
    lines = tuple(
        Line(name, unit, {system: statistics.median(each) for system, each in systems.items()})
        for (name, unit), systems in values.items()
    )
    floor = bandwidth / bench.weights_bytes
    return Report(shape, precision, threads, bandwidth, floor, rounds, lines)


@contextmanager
def _engine(loaded: LoadedModel) -> Iterator[Engine]:
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    with Engine(loaded, info, Limits(kv_cache_gib=2.0)) as engine:
        yield engine
