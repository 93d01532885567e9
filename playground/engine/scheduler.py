"""Who runs in the next step: admission, the step's token budget, preemption.

Knows tokens and capacities; knows no model, no text and no thread.
"""

import heapq
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from playground.engine.kv_cache import CacheBudget, capacity_for
from playground.engine.prefix_cache import FEWEST_TOKENS, Computed, PrefixCache
from playground.engine.prompt_lookup import ROWS, min_acceptance_rate
from playground.engine.sequence import Sequence

CHUNK_TOKENS = 256
"""Prompts are computed in pieces of this many tokens, whatever else runs: the shape of a sequence's
attention, and with it the last bit of its logits, then depends on that sequence alone."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens ``start … stop`` of a sequence, to be run in the coming step, and after them drafted
    ones, each of which may turn out to be the next.
    """

    sequence: Sequence
    start: int
    stop: int
    draft: tuple[int, ...] = ()

    @property
    def completes(self) -> bool:
        """Whether the next token can be chosen after it."""
        return self.stop == len(self.sequence.tokens)


class Scheduler:
    """Continuous batching: sequences join and leave between steps.

    ``step_tokens`` bounds prompt tokens in a step that also decodes; decoding sequences always
    take part. Without ``chunks`` a prompt is one segment, whatever its length. When keys and values
    no longer fit, kept prefixes are dropped first; then the sequence admitted last gives way and is
    computed anew later.
    """

    def __init__(
        self,
        budget: CacheBudget,
        *,
        max_sequences: int,
        step_tokens: int,
        prefix_cache: bool = True,
        chunks: bool = True,
        drafts: bool = True,
    ) -> None:
        self._budget = budget
        self.prefixes = PrefixCache(budget, prefix_cache)
        self._max_sequences = max_sequences
        self._step_tokens = step_tokens
        self._drafts = drafts
        self._chunk_tokens = CHUNK_TOKENS if chunks else sys.maxsize
        self._waiting: list[tuple[int, float, int, Sequence]] = []
        self._arrivals = itertools.count()
        self._running: list[Sequence] = []

    @property
    def idle(self) -> bool:
        """Whether no sequence waits or runs."""
        return not self._waiting and not self._running

    def sequences(self) -> Iterator[Sequence]:
        """All sequences, running ones first."""
        return itertools.chain(self._running, (entry[-1] for entry in self._waiting))

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence by priority, then by arrival; nothing of it is computed yet."""
        sequence.cache, sequence.computed = self._budget.new(), 0
        key = (int(sequence.request.priority), sequence.arrived_s, next(self._arrivals))
        heapq.heappush(self._waiting, (*key, sequence))

    def remove(self, sequences: Iterable[Sequence]) -> None:
        """Take sequences out, wherever they are; what they computed is kept as a prefix."""
        leaving = set(sequences)
        for sequence in leaving.intersection(self.sequences()):
            self.prefixes.keep(_computed(sequence))
        self._running = [sequence for sequence in self._running if sequence not in leaving]
        if any(entry[-1] in leaving for entry in self._waiting):
            self._waiting = [entry for entry in self._waiting if entry[-1] not in leaving]
            heapq.heapify(self._waiting)

    def next_step(self) -> list[Segment]:
        """Segments of the next step, with room for all of them in the caches."""
        self._admit()
        segments: list[Segment] = []
        left = self._step_tokens
        for sequence in sorted(self._running, key=_is_prefilling):
            if sequence not in self._running:  # preempted to make room for an earlier one
                continue
            if left <= 0 and _is_prefilling(sequence):
                break
            if not self._make_room(sequence):
                continue
            for segment in _pieces(sequence, left, self._chunk_tokens):
                segments.append(segment)
                left -= segment.stop - segment.start
        segments = [segment for segment in segments if segment.sequence in self._running]
        return self._drafted(segments) if self._drafts else segments

    def _drafted(self, segments: list[Segment]) -> list[Segment]:
        """The same, with drafts while the step is small."""
        spare = ROWS - sum(segment.stop - segment.start for segment in segments)
        needed = min_acceptance_rate(len(segments))
        for at, segment in enumerate(segments):
            if spare > 0 and segment.completes:
                draft = segment.sequence.draft(spare, needed)
                segments[at] = replace(segment, draft=tuple(draft))
                spare -= len(draft)
        return segments

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._max_sequences:
            sequence = self._waiting[0][-1]
            if not sequence.computed:
                sequence.cache, sequence.computed = self.prefixes.begin(
                    sequence.weights, sequence.tokens, self._running_like(sequence)
                )
                sequence.cached = max(sequence.cached, sequence.computed)
            capacity = sequence.cache.capacity
            if capacity <= len(sequence.tokens):
                capacity = capacity_for(len(sequence.tokens) + 1)
            fits = self.prefixes.make_room(sequence.cache, capacity)
            if self._running and not fits:
                return
            heapq.heappop(self._waiting)
            sequence.admitted_s = sequence.admitted_s or time.monotonic()
            self._running.append(sequence)
            if fits:
                self._budget.grow(sequence.cache, capacity)

    def _running_like(self, sequence: Sequence) -> Iterator[Computed]:
        """What running sequences that begin alike have computed."""
        opening = sequence.tokens[:FEWEST_TOKENS]
        for other in self._running:
            if other.computed >= FEWEST_TOKENS and other.tokens[:FEWEST_TOKENS] == opening:
                yield _computed(other)

    def _make_room(self, sequence: Sequence) -> bool:
        """Grow a cache to hold all its tokens, preempting others admitted later if need be."""
        if sequence.cache.capacity >= len(sequence.tokens):
            return True
        capacity = capacity_for(len(sequence.tokens))
        while not self.prefixes.make_room(sequence.cache, capacity):
            victim = self._running[-1]
            if victim is sequence:
                capacity = len(sequence.tokens)  # without slack, as the last resort
                if self._budget.fits(sequence.cache, capacity):
                    break
            self._preempt(victim)
            if victim is sequence:
                return False
        self._budget.grow(sequence.cache, capacity)
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self._running.remove(sequence)
        self._budget.release(sequence.cache)
        self.add(sequence)


def _computed(sequence: Sequence) -> Computed:
    known = sequence.tokens[: sequence.computed]
    return Computed.of(sequence.weights, known, sequence.cache)


def _is_prefilling(sequence: Sequence) -> bool:
    return len(sequence.tokens) - sequence.computed > 1


def _pieces(sequence: Sequence, budget: int, chunk: int) -> Iterator[Segment]:
    """A sequence's next chunks, the first whatever the budget, so that each step moves on.

    A few tokens of an answer, which a grammar forced, are run as if each had been chosen.
    """
    start = sequence.computed
    if start >= sequence.prompt_length and len(sequence.tokens) - start <= ROWS:
        chunk = 1
    while start < len(sequence.tokens):
        stop = min(len(sequence.tokens), start + chunk)
        if start > sequence.computed and stop - start > budget:
            return
        yield Segment(sequence, start, stop)
        budget -= stop - start
        start = stop
