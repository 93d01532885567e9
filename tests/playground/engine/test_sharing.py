"""Clients share the steps: what a row costs decides how much of a step the larger one gets."""

from collections import Counter
from dataclasses import replace

import pytest

from playground.engine import Engine
from playground.engine.kv_cache import CacheBudget
from playground.engine.scheduler import Scheduler
from playground.engine.sequence import Sequence
from playground.models.loaded import LoadedModel
from tests.playground.engine.driver import GREEDY, CollectingSink, Prompt, generate

STEP_S = 0.001
MANY = 16


def queued(scheduler: Scheduler, client: str, number: int, tokens: int = 2) -> Sequence:
    request = replace(Prompt([number] * tokens).request(CollectingSink()), client=client)
    sequence = Sequence.begin(request, 10_000, 100, frozenset(), None)
    scheduler.add(sequence)
    return sequence


class Steps:
    """Steps of a scheduler whose rows and prompt tokens take what a test says they take."""

    def __init__(self, row_s: float, token_s: float = 0.0) -> None:
        self.scheduler = Scheduler(
            CacheBudget(1_000_000), max_sequences=64, step_tokens=512, drafts=False
        )
        self.row_s, self.token_s = row_s, token_s
        self.rows: Counter[Sequence] = Counter()
        self.seconds: list[float] = []

    def run(self, steps: int) -> None:
        self.rows.clear()
        self.seconds.clear()
        for _ in range(steps):
            schedule = self.scheduler.next_step()
            seconds = STEP_S
            for sequence, chunks in schedule.items():
                tokens = sum(len(chunk.token_ids) for chunk in chunks)
                prompt = sequence.num_computed < sequence.prompt_length - 1
                seconds += tokens * self.token_s if prompt else self.row_s
                sequence.num_computed = chunks[-1].stop
                sequence.tokens.append(5)
                self.rows[sequence] += 1
            self.scheduler.took(schedule, seconds)
            self.seconds.append(seconds)


def beside(steps: Steps) -> tuple[Sequence, list[Sequence]]:
    """One client's sequence, and many of another's that began earlier."""
    many = [queued(steps.scheduler, "many", number) for number in range(10, 10 + MANY)]
    steps.run(40)
    one = queued(steps.scheduler, "one", 7)
    steps.run(400)
    return one, many


def test_costly_rows_leave_one_its_speed() -> None:
    steps = Steps(row_s=STEP_S)
    one, many = beside(steps)
    assert steps.rows[one] == 400
    alone = STEP_S + steps.row_s
    assert sum(steps.seconds) / 400 < 1.8 * alone  # all of both in each step: 9
    assert all(steps.rows[sequence] > 20 for sequence in many)
    assert max(steps.rows[sequence] for sequence in many) < 2 * min(
        steps.rows[sequence] for sequence in many
    )


def test_free_rows_all_take_part() -> None:
    steps = Steps(row_s=STEP_S / 1000)
    one, many = beside(steps)
    assert all(steps.rows[sequence] == 400 for sequence in [one, *many])


def test_alone_a_client_has_all() -> None:
    steps = Steps(row_s=STEP_S)
    many = [queued(steps.scheduler, "many", number) for number in range(10, 10 + MANY)]
    steps.run(100)
    assert all(steps.rows[sequence] == 100 for sequence in many)


def test_prompts_of_many_are_spread() -> None:
    steps = Steps(row_s=STEP_S / 100, token_s=STEP_S / 20)
    one, _ = beside(steps)
    queued(steps.scheduler, "many", 49, tokens=200)
    steps.run(40)  # by now it is known what a prompt costs
    for number in range(50, 62):
        queued(steps.scheduler, "many", number, tokens=200)
    steps.run(400)
    assert steps.rows[one] == 400
    late = [seconds for seconds in steps.seconds if seconds > 5 * STEP_S]
    assert len(late) == 12  # each prompt in a step of its own
    assert sum(steps.seconds) / 400 < 1.6 * STEP_S


def test_equal_clients_do_not_pause() -> None:
    steps = Steps(row_s=STEP_S)
    all_of_them = [queued(steps.scheduler, f"client {n}", 10 + n) for n in range(MANY)]
    steps.run(100)
    assert all(steps.rows[sequence] == 100 for sequence in all_of_them)


@pytest.mark.slow
def test_clients_do_not_change_answers(loaded: LoadedModel) -> None:
    prompts = [Prompt([5, 6, 7 + number], replace(GREEDY, ignore_eos=True)) for number in range(6)]
    with Engine(loaded) as engine:
        alone = [generate(engine, prompt).token_ids for prompt in prompts]
        sinks = [CollectingSink() for _ in prompts]
        for number, (prompt, sink) in enumerate(zip(prompts, sinks, strict=True)):
            engine.submit(replace(prompt.request(sink), client="one" if number == 5 else "many"))
        assert [sink.wait().token_ids for sink in sinks] == alone
