"""Sequences of a batch use what others leave: places, steps, and no more."""

from dataclasses import replace

import pytest

from playground.engine import Engine, Limits
from playground.engine.kv_cache import CacheBudget
from playground.engine.scheduler import BATCH_TOKENS, BATCH_TURN, Scheduler
from playground.engine.sequence import Sequence
from playground.models.loaded import LoadedModel
from playground.protocol import Priority
from tests.playground.engine.driver import GREEDY, CollectingSink, Prompt, generate

pytestmark = pytest.mark.slow


def submit(
    engine: Engine, prompt: list[int], priority: Priority, tokens: int
) -> tuple[CollectingSink, list[int]]:
    """Begin an answer; the list gets its length each time that a token comes."""
    seen: list[int] = []
    sink = CollectingSink(on_token=seen.append)
    request = Prompt(prompt, replace(GREEDY, ignore_eos=True), tokens).request(sink)
    engine.submit(replace(request, priority=priority))
    return sink, seen


def test_batch_pauses_beside_others(loaded: LoadedModel) -> None:
    with Engine(loaded, Limits(drafts=False)) as engine:
        batch, written = submit(engine, [5, 6, 7], Priority.BATCH, 600)
        assert batch.started.wait(60)
        other, _ = submit(engine, [8, 9], Priority.INTERACTIVE, 10 * BATCH_TURN)
        assert other.started.wait(60)
        before = len(written)
        other.wait()
        assert 0 < len(written) - before <= 12  # about one in BATCH_TURN of 160 steps
        assert len(batch.wait().token_ids) == 600


def test_full_batch_gives_up_a_place(loaded: LoadedModel) -> None:
    alone = Prompt([5, 6, 7], replace(GREEDY, ignore_eos=True), 300)
    with Engine(loaded, Limits(max_sequences=2)) as engine:
        expected = generate(engine, alone).token_ids
        batch = [submit(engine, [5, 6, 7], Priority.BATCH, 300) for _ in range(2)]
        assert all(sink.started.wait(60) for sink, _ in batch)
        other, _ = submit(engine, [8, 9], Priority.INTERACTIVE, 20)
        other.wait()
        assert any(len(seen) < 300 for _, seen in batch)
        assert [sink.wait().token_ids for sink, _ in batch] == [expected] * 2


def queued(scheduler: Scheduler, prompt: list[int], priority: Priority) -> Sequence:
    request = replace(Prompt(prompt).request(CollectingSink()), priority=priority)
    sequence = Sequence.begin(request, 60, 100, frozenset(), None)
    scheduler.add(sequence)
    return sequence


def test_prompts_of_a_batch_are_spread() -> None:
    length = BATCH_TOKENS // 2 + 1
    scheduler = Scheduler(CacheBudget(10_000), max_sequences=16, step_tokens=512, drafts=False)
    other = queued(scheduler, [8, 9], Priority.INTERACTIVE)
    batch = [queued(scheduler, [n] * length, Priority.BATCH) for n in range(10, 16)]
    sizes = []
    for _ in range(3 * BATCH_TURN):
        schedule = scheduler.next_step()
        assert other in schedule
        sizes.append(len(schedule.keys() & set(batch)))
        for sequence, chunks in schedule.items():
            sequence.num_computed = chunks[-1].stop
            if chunks[-1].wants_logits:
                sequence.tokens.append(5)
    assert sorted(sizes) == [0] * (3 * BATCH_TURN - 3) + [2, 4, 6]
