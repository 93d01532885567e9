"""Drafts and forced tokens change no answer: greedy or drawn, alone or beside others."""

import json
from collections.abc import Iterator, Mapping

import pytest
import torch

from playground.engine import Engine, Limits
from playground.engine.batch import ScheduledChunk
from playground.engine.prompt_lookup import MAX_DRAFT_TOKENS, PAUSE_TOKENS, PromptLookup
from playground.engine.scheduler import Schedule, Scheduler
from playground.engine.sequence import Sequence
from playground.engine.verification import verify_drafts_and_append
from playground.models.loaded import LoadedModel
from playground.protocol import Message, Sampling
from recipes.tiny_mistral.evaluation import held_out_rows
from tests.playground.engine.driver import (
    CollectingSink,
    Prompt,
    decode,
    generate,
    generate_all,
    render,
)

pytestmark = pytest.mark.slow

FAMILIES = ("extraction", "copying", "system.json", "tools.answer", "chat.facts")
NOTE = "The order 5581 of Marie Dupont from Lyon has 3 lamps, 2 chairs and 14 green cups."


@pytest.fixture(scope="module")
def engines(loaded: LoadedModel) -> Iterator[tuple[Engine, Engine]]:
    """With drafts and without; no kept prefixes, which are computed in other chunks."""
    with (
        Engine(loaded, Limits(prefix_cache=False)) as drafting,
        Engine(loaded, Limits(prefix_cache=False, drafts=False)) as plain,
    ):
        yield drafting, plain


def prompts(loaded: LoadedModel, sampling: Sampling) -> list[Prompt]:
    chats = [
        [Message(turn.role, turn.text) for turn in row.turns if turn.role in ("system", "user")]
        for family in FAMILIES
        for row in held_out_rows(family, 8)
    ]
    chats += [[Message("user", f"Repeat after me: {NOTE}")], [Message("user", NOTE * 3)]]
    return [Prompt(loaded.tokenizer.render(chat[:2]), sampling) for chat in chats]


SAMPLINGS: Mapping[str, Sampling] = {
    "greedy": Sampling(temperature=0.0, logprobs=0),
    "drawn": Sampling(temperature=1.0, seed=7, top_p=0.95, logprobs=0),
    "penalties": Sampling(
        temperature=0.0, frequency_penalty=0.4, repetition_penalty=1.1, logprobs=0
    ),
}


@pytest.mark.parametrize("name", SAMPLINGS)
def test_drafts_change_no_answer(
    engines: tuple[Engine, Engine], loaded: LoadedModel, name: str
) -> None:
    drafting, plain = engines
    batch = prompts(loaded, SAMPLINGS[name])
    expected = generate_all(plain, batch)
    together = generate_all(drafting, batch)
    alone = [generate(drafting, prompt) for prompt in batch[::3]]
    for answers, wanted in ((together, expected), (alone, expected[::3])):
        assert [a.token_ids for a in answers] == [a.token_ids for a in wanted]
        assert [a.scores for a in answers] == [a.scores for a in wanted]


def test_forced_tokens_equal_chosen_ones(
    engines: tuple[Engine, Engine], loaded: LoadedModel
) -> None:
    """Scores keep forced tokens from being taken at once: each is then chosen on its own."""
    schema = {
        "type": "object",
        "properties": {"customer_name": {"type": "string"}, "city": {"type": "string"}},
        "required": ["customer_name", "city"],
        "additionalProperties": False,
    }
    grammar = f"start: %json {json.dumps(schema)}"
    prompt = render(loaded, NOTE)
    for engine in engines:
        forced, chosen = (
            generate(engine, Prompt(prompt, sampling, max_tokens=80, grammar=grammar))
            for sampling in (Sampling(temperature=0.0), Sampling(temperature=0.0, logprobs=0))
        )
        text = decode(loaded, forced.token_ids)
        assert text == decode(loaded, chosen.token_ids)
        assert set(json.loads(text)) == {"customer_name", "city"}


def test_copied_answer_takes_fewer_steps(
    engines: tuple[Engine, Engine], loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    next_step = Scheduler.next_step

    def counted(scheduler: Scheduler) -> Schedule:
        nonlocal steps
        schedule = next_step(scheduler)
        steps += bool(schedule)
        return schedule

    monkeypatch.setattr(Scheduler, "next_step", counted)
    taken = []
    for engine in engines:
        before = steps
        for row in held_out_rows("copying", 12):
            generate(engine, Prompt(render(loaded, row.turns[0].text), max_tokens=None))
        taken.append(steps - before)
    drafting, plain = taken
    assert drafting < plain


def test_draft_is_what_followed_before() -> None:
    tokens = [9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]
    followed = [4, 5, 6, 7, 8, 1, 2, 3]
    assert PromptLookup().draft(tokens, 3, min_acceptance=0.2) == [4, 5, 6]
    assert PromptLookup().draft(tokens, 99, min_acceptance=0.2) == followed[:MAX_DRAFT_TOKENS]
    assert PromptLookup().draft([*tokens, 99], 3, min_acceptance=0.2) == []


def test_rejected_drafts_pause_and_resume() -> None:
    lookup = PromptLookup()
    tokens = [1, 2, 3, 4] * 4
    while lookup.draft(tokens, 4, min_acceptance=0.3):
        lookup.update_acceptance(drafted=4, accepted=0)
        tokens += [7, 1, 2, 3]
    paused_at = len(tokens)
    assert not lookup.draft([*tokens, 1, 2, 3], 4, min_acceptance=0.3)
    later = [1, 2, 3, 4] * paused_at
    assert lookup.draft(later[: paused_at + PAUSE_TOKENS], 4, min_acceptance=0.3)


def test_invalid_draft_row_is_computed_again() -> None:
    prompt = Prompt([1, 2, 3], Sampling(temperature=1.0, seed=1))
    request = prompt.request(CollectingSink())
    sequence = Sequence.begin(request, 60, 10, frozenset({9}), None)
    chunks = [
        ScheduledChunk(sequence.cache, [token_id], position, wants_logits=True)
        for token_id, position in ((3, 2), (4, 3), (5, 4))
    ]
    logits = torch.full((3, 10), -1000.0)
    logits[0, 4] = 1000.0
    logits[1] = float("nan")
    assert verify_drafts_and_append(logits, [(sequence, chunk) for chunk in chunks]) == []
    assert sequence.tokens == [1, 2, 3, 4]
    assert sequence.num_computed == 3
