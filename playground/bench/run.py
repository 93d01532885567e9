"""A whole run: every measure several times, interleaved with the peers', medians at the end."""

import gc
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from playground.backends.local import LocalBackend
from playground.bench.measures import (
    LAST_TURN_TOKENS,
    Prompts,
    first_token,
    request,
    swap,
    throughput,
    turns,
)
from playground.bench.peers import IN_PROCESS, Kind, Peer, Source, Work
from playground.bench.report import ONE_STEP, ONE_STREAM, OURS, Line, Report
from playground.bench.served import SERVERS, our_api
from playground.bench.shapes import loaded_shape, random_adapters
from playground.engine import Limits
from playground.errors import InvalidSettings, PlaygroundError
from playground.protocol import ModelInfo
from playground.runtime import freeze_heap

ALL_PEERS = (*IN_PROCESS, *SERVERS)
LIMITS = Limits(kv_cache_gib=2.0, drafts=False)
"""Random weights repeat themselves, which drafts would make use of and peers would not."""
ADAPTERS = 4
SWAPPED = "swapped"
STEPS = 64
READ_BYTES = 2**30

Serve = Callable[[LocalBackend], AbstractContextManager[str]]
"""Serves an engine over HTTP for as long as it is open; gives its address."""


class Bench:
    """One model of a shape under the engine, and copies of it under the peers.

    A peer that cannot run here is left out, which ``tell`` is told.
    """

    def __init__(
        self,
        source: tuple[str, str, int],
        kinds: Sequence[Kind],
        serve: Serve | None,
        stack: ExitStack,
        tell: Callable[[str], None],
    ) -> None:
        """``source``: shape, precision, threads."""
        self.model, precision, threads = source
        loaded = loaded_shape(self.model, precision)
        self.weights_bytes = sum(
            parameter.numel() * parameter.element_size()
            for name, parameter in loaded.model.named_parameters()
            if "embed" not in name
        )
        self._folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, self._folder)
        self.peers: list[Peer] = []
        for kind in kinds:  # before the engine, which may lay the weights out anew
            self._add(kind, Source(loaded.model, threads, self._folder), stack, tell)
        info = ModelInfo(loaded.name, loaded.context_length, created=1)
        self.engine = stack.enter_context(LocalBackend(loaded, info, LIMITS))
        if serve:
            address = stack.enter_context(serve(self.engine))
            self.peers.insert(0, our_api(address, self.model))
        self._versions = 0

    def _add(
        self, kind: Kind, source: Source, stack: ExitStack, tell: Callable[[str], None]
    ) -> None:
        missing = kind.missing()
        if missing:
            tell(f"left out: {kind.name} {missing}")
            return
        try:
            peer = kind.start(source)
        except PlaygroundError as error:
            tell(f"left out: {error.message}")
            return
        stack.callback(peer.close)
        self.peers.append(peer)

    @cached_property
    def adapter_folders(self) -> list[Path]:
        """LoRA adapters of this shape."""
        return random_adapters(self.model, self._folder, ADAPTERS)

    @cached_property
    def adapters(self) -> list[str]:
        """The names under which the engine serves them."""
        return [self.engine.load_adapter(path).name for path in self.adapter_folders]

    def compare(self, work: Work) -> Iterator[tuple[str, float]]:
        """Tokens a second of each system in turn."""
        requests = [request(self.model, prompt, new) for prompt, new in work]
        yield OURS, throughput(self.engine, requests)
        for peer in self.peers:
            yield peer.name, peer.throughput(work)

    def compare_first_token(self, prompt: tuple[int, ...]) -> Iterator[tuple[str, float]]:
        """Seconds of each system in turn; of a peer, those of a whole answer of one token."""
        yield OURS, first_token(self.engine, request(self.model, prompt, 1))
        for peer in self.peers:
            yield peer.name, 1 / peer.throughput([(prompt, 1)])

    def compare_steps(self, prompts: Prompts) -> Iterator[tuple[str, float]]:
        """Seconds of one stream's decode step of each system in turn: an answer of many tokens less
        one of a single token.
        """
        many, one = (self.compare([(prompts.one(64), new)]) for new in (STEPS + 1, 1))
        for (system, speed), (_, first) in zip(many, one, strict=True):
            yield system, ((STEPS + 1) / speed - 1 / first) / STEPS

    def mixed_adapters(self, prompts: Prompts) -> Iterator[tuple[str, float]]:
        """Tokens a second of 16 streams that take turns in using the adapters."""
        mixed = [
            request(self.adapters[at % ADAPTERS], prompt, 64)
            for at, prompt in enumerate(prompts.many(16, 64))
        ]
        yield OURS, throughput(self.engine, mixed)

    def swap(self, prompts: Prompts) -> Iterator[tuple[str, float]]:
        """Seconds until an adapter's next version answers."""
        if not self._versions:
            self.engine.load_adapter(self._next_version(), SWAPPED)
        yield OURS, swap(self.engine, self._next_version(), SWAPPED, self.model, prompts)

    def _next_version(self) -> Path:
        """The same folder, with the files of another adapter than before."""
        folder = self._folder / SWAPPED
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.adapter_folders[self._versions % ADAPTERS], folder)
        self._versions += 1
        return folder


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of each system once a round, in new prompts: tokens a second or seconds."""

    name: str
    unit: str
    values: Callable[[Bench, Prompts], Iterator[tuple[str, float]]]


def _streams(name: str, count: int, prompt: int) -> Measure:
    """That many prompts at once, each to be continued by 64 tokens."""
    return Measure(
        name,
        "tokens/s",
        lambda bench, prompts: bench.compare([(p, 64) for p in prompts.many(count, prompt)]),
    )


MEASURES = (
    _streams(ONE_STREAM, 1, 64),
    Measure(ONE_STEP, "s", Bench.compare_steps),
    *(_streams(f"{count} streams, 64 + 64", count, 64) for count in (4, 16, 32)),
    _streams("16 streams, 512 + 64", 16, 512),
    Measure("32 of mixed length", "tokens/s", lambda b, p: b.compare(p.mixed(32))),
    Measure(f"16 streams, {ADAPTERS} adapters", "tokens/s", Bench.mixed_adapters),
    Measure("first token, 600 tokens", "s", lambda b, p: b.compare_first_token(p.one(600))),
    Measure("first token, turn 10", "s", lambda b, p: _ours(turns(b.engine, b.model, p))),
    Measure(
        "first token, turn 10, no prefix",
        "s",
        lambda b, p: _ours(first_token(b.engine, request(b.model, p.one(LAST_TURN_TOKENS), 1))),
    ),
    Measure("adapter swap, 8 streams beside it", "s", Bench.swap),
)


def chosen(names: Sequence[str]) -> tuple[Measure, ...]:
    """The measures with one of these in their names; all if none is given.

    Raises `InvalidSettings` for one that is in no name.
    """
    for name in names:
        if not any(name in measure.name for measure in MEASURES):
            known = "; ".join(measure.name for measure in MEASURES)
            raise InvalidSettings(f"measure: {name!r} is in none of: {known}")
    return tuple(
        measure for measure in MEASURES if not names or any(name in measure.name for name in names)
    )


def run(
    shape: str,
    precision: str,
    *,
    rounds: int = 5,
    peers: Sequence[Kind] = (),
    serve: Serve | None = None,
    measures: Sequence[str] = (),
    threads: int = 1,
    tell: Callable[[str], None] = print,
) -> Report:
    """Measure ``rounds`` times after one round that warms up. Raises `InvalidSettings`."""
    wanted = chosen(measures)
    torch.set_num_threads(threads)
    found: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        bench = Bench((shape, precision, threads), peers, serve, stack, tell)
        freeze_heap()  # as the server does
        stack.callback(gc.unfreeze)
        bandwidths = []
        for number in range(rounds + 1):
            prompts = Prompts(seed=number)
            for measure in wanted:
                for system, value in measure.values(bench, prompts):
                    if number:
                        found[measure.name][system].append(value)
            bandwidths.append(memory_bandwidth())
            tell(f"round {number} of {rounds}" if number else "warmed up")
    lines = tuple(
        Line(
            measure.name,
            measure.unit,
            {system: statistics.median(each) for system, each in found[measure.name].items()},
        )
        for measure in wanted
    )
    bandwidth = statistics.median(bandwidths)
    floor = bench.weights_bytes / bandwidth
    return Report(shape, precision, threads, bandwidth, floor, rounds, lines)


def memory_bandwidth() -> float:
    """Bytes read a second, as the best of three sums over a tensor larger than caches does."""
    data = torch.ones(READ_BYTES // 4)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        data.sum()
        times.append(time.perf_counter() - began)
    return READ_BYTES / min(times)


def _ours(value: float) -> Iterator[tuple[str, float]]:
    yield OURS, value
