"""Chooses the sequences of the next step: admission, the step's token budget, preemption.

Knows tokens and capacities; knows no model, no text and no thread.
"""

import heapq
import itertools
import sys
import time
from collections.abc import Iterable, Iterator

from playground.engine.batch import ScheduledChunk
from playground.engine.kv_cache import CacheBudget, capacity_for
from playground.engine.prefix_cache import MIN_PREFIX_TOKENS, CachedPrefix, PrefixCache
from playground.engine.prompt_lookup import MAX_DRAFT_ROWS, min_acceptance_rate
from playground.engine.sequence import Sequence
from playground.engine.sharing import StepShares
from playground.protocol import Priority

CHUNK_TOKENS = 256
"""Prompts are computed in chunks of this many tokens, whatever else runs: the shape of a sequence's
attention, and with it the last bit of its logits, then depends on that sequence alone."""

BATCH_TURN = 16
"""While others run, sequences of a batch take part in one of so many steps."""
BATCH_TOKENS = 64
"""In such a step, no prompt of a batch is begun or goes on after so many of the batch's tokens."""

Schedule = dict[Sequence, list[ScheduledChunk]]
"""The chunks of a step by sequence, in order of position, drafted tokens last."""


class Scheduler:
    """Continuous batching: sequences join and leave between steps.

    ``step_tokens`` bounds prompt tokens in a step that also decodes; decoding sequences always
    take part. Without ``chunked_prefill`` a prompt is one chunk, whatever its length. When keys and
    values no longer fit, kept prefixes are dropped first; then the sequence admitted last is
    preempted and recomputed later, one of a batch before any other. Sequences of a batch use what
    others leave: they give up their places, and pause beside others but for every `BATCH_TURN`-th
    step, so that they come to an end on a server that is never idle.
    """

    def __init__(
        self,
        budget: CacheBudget,
        *,
        max_sequences: int,
        step_tokens: int,
        prefix_cache: bool = True,
        chunked_prefill: bool = True,
        drafts: bool = True,
    ) -> None:
        self._budget = budget
        self.prefixes = PrefixCache(budget, prefix_cache)
        self._max_sequences = max_sequences
        self._step_tokens = step_tokens
        self._drafts = drafts
        self._chunk_tokens = CHUNK_TOKENS if chunked_prefill else sys.maxsize
        self._waiting: list[tuple[int, float, int, Sequence]] = []
        self._arrivals = itertools.count()
        self._running: list[Sequence] = []
        self._steps_without_batch = 0
        self._shares = StepShares()
        self.prompt_tokens = self.cached_tokens = self.preemptions = 0

    @property
    def idle(self) -> bool:
        """Whether no sequence waits or runs."""
        return not self._waiting and not self._running

    def sequences(self) -> Iterator[Sequence]:
        """Iterate over all sequences, running ones first."""
        return itertools.chain(self._running, (entry[-1] for entry in self._waiting))

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence by priority, then by arrival; nothing of it is computed yet."""
        sequence.cache, sequence.num_computed = self._budget.new(), 0
        key = (int(sequence.request.priority), sequence.arrived_s, next(self._arrivals))
        heapq.heappush(self._waiting, (*key, sequence))

    def remove(self, sequences: Iterable[Sequence]) -> None:
        """Take sequences out, wherever they are; what they computed is kept as a prefix."""
        leaving = set(sequences)
        for sequence in leaving.intersection(self.sequences()):
            self.prefixes.keep(_computed_prefix(sequence))
        self._running = [sequence for sequence in self._running if sequence not in leaving]
        if any(entry[-1] in leaving for entry in self._waiting):
            self._waiting = [entry for entry in self._waiting if entry[-1] not in leaving]
            heapq.heapify(self._waiting)

    @property
    def running(self) -> list[Sequence]:
        """Sequences that have a place in the batch."""
        return list(self._running)

    def next_step(self) -> Schedule:
        """Schedule the next step, with room for all of its chunks in the caches."""
        self._admit()
        schedule: Schedule = {}
        tokens_left = self._step_tokens
        is_mixed = not all(map(_is_batch, self._running))
        batch_tokens_left = BATCH_TOKENS if is_mixed else self._step_tokens
        pausing = self._pausing()
        for sequence in sorted(self._running, key=_turn):
            if sequence not in self._running:  # preempted to make room for an earlier one
                continue
            if sequence in pausing:
                continue
            left = min(tokens_left, batch_tokens_left) if _is_batch(sequence) else tokens_left
            if left <= 0 and _is_prefilling(sequence):
                break
            if not self._make_room(sequence):
                continue
            schedule[sequence] = _chunks(sequence, left, self._chunk_tokens)
            num_tokens = schedule[sequence][-1].stop - sequence.num_computed
            tokens_left -= num_tokens
            if _is_batch(sequence):
                batch_tokens_left -= num_tokens
        running = set(self._running)
        schedule = {seq: chunks for seq, chunks in schedule.items() if seq in running}
        if self._drafts:
            self._add_drafts(schedule)
        return schedule

    def _add_drafts(self, schedule: Schedule) -> None:
        """Draft tokens while the step is small."""
        chunks = list(itertools.chain.from_iterable(schedule.values()))
        rows_left = MAX_DRAFT_ROWS - sum(len(chunk.token_ids) for chunk in chunks)
        min_acceptance = min_acceptance_rate(len(chunks))
        for sequence, sequence_chunks in schedule.items():
            if rows_left <= 0:
                return
            if sequence_chunks[-1].wants_logits:
                draft = sequence.draft(rows_left, min_acceptance)
                rows_left -= len(draft)
                sequence_chunks += (
                    ScheduledChunk(sequence.cache, [token_id], position, True, sequence.slot)
                    for position, token_id in enumerate(draft, start=len(sequence.tokens))
                )

    def took(self, schedule: Schedule, seconds: float) -> None:
        """Take the seconds of a step, from which it is learned what a row costs."""
        self._shares.took(schedule, seconds)

    def _pausing(self) -> set[Sequence]:
        """Return the sequences that sit this step out."""
        pausing = self._shares.pausing(self._running)
        return pausing | set(filter(_is_batch, self._running)) if self._batch_pauses() else pausing

    def _batch_pauses(self) -> bool:
        """Say whether sequences of a batch sit this step out."""
        if all(_is_batch(sequence) for sequence in self._running):
            self._steps_without_batch = 0
            return False
        self._steps_without_batch = (self._steps_without_batch + 1) % BATCH_TURN
        return self._steps_without_batch > 0

    def _give_up_place(self, sequence: Sequence) -> bool:
        """Preempt a sequence of a batch for one that is not; False if there is none."""
        victim = None if _is_batch(sequence) else self._last_of_batch()
        if victim is not None:
            self._preempt(victim)
        return victim is not None

    def _last_of_batch(self) -> Sequence | None:
        return next(filter(_is_batch, reversed(self._running)), None)

    def _admit(self) -> None:
        while self._waiting:
            sequence = self._waiting[0][-1]
            if len(self._running) >= self._max_sequences and not self._give_up_place(sequence):
                return
            if not sequence.num_computed and not sequence.prompt_unscored:
                sequence.cache, sequence.num_computed = self.prefixes.begin(
                    sequence.adapter_hash, sequence.tokens, self._running_alike(sequence)
                )
                sequence.num_cached = max(sequence.num_cached, sequence.num_computed)
                self.prompt_tokens += len(sequence.tokens)
                self.cached_tokens += sequence.num_computed
            capacity = sequence.cache.capacity
            if capacity <= len(sequence.tokens):
                capacity = capacity_for(len(sequence.tokens) + 1)
            fits = self.prefixes.make_room(sequence.cache, capacity)
            while not fits and self._give_up_place(sequence):
                fits = self.prefixes.make_room(sequence.cache, capacity)
            if self._running and not fits:
                return
            heapq.heappop(self._waiting)
            sequence.admitted_s = sequence.admitted_s or time.monotonic()
            self._running.append(sequence)
            if fits:
                self._budget.grow(sequence.cache, capacity)

    def _running_alike(self, sequence: Sequence) -> Iterator[CachedPrefix]:
        """Iterate over what running sequences that begin alike have computed."""
        opening = sequence.tokens[:MIN_PREFIX_TOKENS]
        for other in self._running:
            computed_enough = other.num_computed >= MIN_PREFIX_TOKENS
            if computed_enough and other.tokens[:MIN_PREFIX_TOKENS] == opening:
                yield _computed_prefix(other)

    def _make_room(self, sequence: Sequence) -> bool:
        """Grow a cache to hold all its tokens, preempting others admitted later if need be."""
        if sequence.cache.capacity >= len(sequence.tokens):
            return True
        capacity = capacity_for(len(sequence.tokens))
        while not self.prefixes.make_room(sequence.cache, capacity):
            victim = self._last_of_batch() or self._running[-1]
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
        self.preemptions += 1
        self._running.remove(sequence)
        self._budget.release(sequence.cache)
        self.add(sequence)


def _computed_prefix(sequence: Sequence) -> CachedPrefix:
    tokens = sequence.tokens[: sequence.num_computed]
    return CachedPrefix.of(sequence.adapter_hash, tokens, sequence.cache)


def _is_batch(sequence: Sequence) -> bool:
    return sequence.request.priority >= Priority.BATCH


def _is_prefilling(sequence: Sequence) -> bool:
    return len(sequence.tokens) - sequence.num_computed > 1


def _turn(sequence: Sequence) -> tuple[bool, bool]:
    """What comes first in a step: answers, then prompts; of each, those of a batch last."""
    return _is_prefilling(sequence), _is_batch(sequence)


def _chunks(sequence: Sequence, budget: int, chunk_tokens: int) -> list[ScheduledChunk]:
    """Return a sequence's next chunks, the first whatever the budget, so that each step moves on.

    A few tokens of an answer, which a grammar forced, are run as if each had been chosen.
    """
    start, end = sequence.num_computed, len(sequence.tokens)
    if start >= sequence.prompt_length and end - start <= MAX_DRAFT_ROWS:
        chunk_tokens = 1
    chunks: list[ScheduledChunk] = []
    while start < end:
        stop = min(end, start + chunk_tokens)
        if chunks and stop - start > budget:
            break
        token_ids, scored = sequence.tokens[start:stop], sequence.prompt_unscored
        chunk = ScheduledChunk(sequence.cache, token_ids, start, stop == end, sequence.slot, scored)
        chunks.append(chunk)
        budget -= stop - start
        start = stop
    return chunks
