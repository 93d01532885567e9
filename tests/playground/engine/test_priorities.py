"""Sequences of a batch use what others leave: places, steps, and no more."""

from dataclasses import replace

import pytest

from playground.engine import Engine, Limits
from playground.engine.scheduler import BATCH_TURN
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
