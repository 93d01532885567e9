"""Drafts and forced tokens change no answer: greedy or drawn, alone or beside others."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from playground.backends.chat import Answer, answer
from playground.engine import Engine, Limits
from playground.engine.prompt_lookup import LONGEST, PAUSE, PromptLookup
from playground.engine.scheduler import Scheduler
from playground.models.loaded import LoadedModel
from playground.protocol import Message, ModelInfo, Request, Sampling
from recipes.tiny_mistral.evaluation import held_out_rows

FAMILIES = ("extraction", "copying", "system.json", "tools.answer", "chat.facts")
NOTE = "The order 5581 of Marie Dupont from Lyon has 3 lamps, 2 chairs and 14 green cups."


@pytest.fixture(scope="module")
def engines(loaded: LoadedModel) -> Iterator[tuple[Engine, Engine]]:
    """With drafts and without; no kept prefixes, which are computed in other pieces."""
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    with (
        Engine(loaded, info, Limits(prefix_cache=False)) as drafting,
        Engine(loaded, info, Limits(prefix_cache=False, drafts=False)) as plain,
    ):
        yield drafting, plain


def requests(**sampling: Any) -> list[Request]:
    chats = [
        tuple(
            Message(turn.role, turn.text) for turn in row.turns if turn.role in ("system", "user")
        )
        for family in FAMILIES
        for row in held_out_rows(family, 8)
    ]
    chats += [(Message("user", f"Repeat after me: {NOTE}"),), (Message("user", NOTE * 3),)]
    return [
        Request("embedded", chat[:2], sampling=Sampling(max_tokens=60, logprobs=0, **sampling))
        for chat in chats
    ]


async def answers(engine: Engine, asked: list[Request]) -> list[Answer]:
    again = [Request(r.model, r.messages, sampling=r.sampling, grammar=r.grammar) for r in asked]
    return list(await asyncio.gather(*(answer(engine, each) for each in again)))


SAMPLINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "drawn": {"temperature": 1.0, "seed": 7, "top_p": 0.95},
    "penalties": {"temperature": 0.0, "frequency_penalty": 0.4, "repetition_penalty": 1.1},
}


@pytest.mark.parametrize("how", SAMPLINGS)
async def test_an_answer_is_the_same_with_drafts_and_without(
    engines: tuple[Engine, Engine], how: str
) -> None:
    drafting, plain = engines
    asked = requests(**SAMPLINGS[how])
    expected = await answers(plain, asked)
    together = await answers(drafting, asked)
    alone = [(await answers(drafting, [each]))[0] for each in asked]
    for got in (together, alone):
        assert [each.text for each in got] == [each.text for each in expected]
        assert [each.logprobs for each in got] == [each.logprobs for each in expected]


async def test_tokens_that_a_grammar_forces_are_those_it_would_have_allowed(
    engines: tuple[Engine, Engine],
) -> None:
    """Scores keep forced tokens from being taken at once: each is then chosen on its own."""
    schema = {
        "type": "object",
        "properties": {"customer_name": {"type": "string"}, "city": {"type": "string"}},
        "required": ["customer_name", "city"],
        "additionalProperties": False,
    }
    grammar = f"start: %json {json.dumps(schema)}"
    for engine in engines:
        sampling = {"temperature": 0.0, "max_tokens": 80}
        texts = [
            (await answer(engine, Request(
                "embedded", (Message("user", NOTE),), grammar=grammar,
                sampling=Sampling(**sampling, logprobs=logprobs),
            ))).text
            for logprobs in (None, 0)
        ]  # fmt: skip
        assert texts[0] == texts[1]
        assert set(json.loads(texts[0])) == {"customer_name", "city"}


async def test_an_answer_that_repeats_its_prompt_takes_fewer_steps(
    engines: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    next_step = Scheduler.next_step

    def counted(scheduler: Scheduler) -> Any:
        nonlocal steps
        segments = next_step(scheduler)
        steps += bool(segments)
        return segments

    monkeypatch.setattr(Scheduler, "next_step", counted)
    taken = []
    for engine in engines:
        before = steps
        for row in held_out_rows("copying", 12):
            messages = (Message("user", row.turns[0].text),)
            await answer(engine, Request("embedded", messages, sampling=Sampling(temperature=0.0)))
        taken.append(steps - before)
    drafting, plain = taken
    assert drafting < plain


def test_a_draft_is_what_followed_before() -> None:
    tokens = [9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]
    assert PromptLookup().draft(tokens, most=3, needed=0.2) == [4, 5, 6]
    assert PromptLookup().draft(tokens, most=99, needed=0.2) == [4, 5, 6, 7, 8, 1, 2, 3][:LONGEST]
    assert PromptLookup().draft([*tokens, 99], most=3, needed=0.2) == []


def test_drafts_that_lose_are_switched_off_and_tried_again_later() -> None:
    lookup = PromptLookup()
    tokens = [1, 2, 3, 4] * 4
    while lookup.draft(tokens, most=4, needed=0.3):
        lookup.judge(drafted=4, accepted=0)
        tokens += [7, 1, 2, 3]
    switched_off = len(tokens)
    assert not lookup.draft([*tokens, 1, 2, 3], most=4, needed=0.3)
    later = [1, 2, 3, 4] * switched_off
    assert lookup.draft(later[: switched_off + PAUSE], most=4, needed=0.3)
