import random

import pytest

from recipes.tiny_mistral.corpus import (
    FAMILIES,
    Draw,
    Split,
    draw_row,
    pools,
    smalltalk,
    unknown,
    wordings,
)
from recipes.tiny_mistral.evaluate import families, held_out_rows

TRAIN_ROWS = 12_000
HELD_ROWS = 60


def test_the_corpus_is_a_function_of_its_seed() -> None:
    first = [draw_row(Draw(random.Random(7))) for _ in range(1)]
    again = [draw_row(Draw(random.Random(7))) for _ in range(1)]
    one, two, other = (Draw(random.Random(seed)) for seed in (7, 7, 8))
    assert first == again
    rows = [draw_row(one) for _ in range(300)]
    assert rows == [draw_row(two) for _ in range(300)]
    assert rows != [draw_row(other) for _ in range(300)]


@pytest.mark.parametrize(
    ("train", "held"),
    [
        (pools.NOUNS, pools.HELD_NOUNS),
        (pools.ATTRIBUTES, pools.HELD_ATTRIBUTES),
        (pools.PLACES, pools.HELD_PLACES),
        (pools.FIRST_NAMES, pools.HELD_FIRST_NAMES),
        (unknown.SUBJECTS, unknown.HELD_SUBJECTS),
        wordings.LANGUAGE,
        wordings.PERSONAS,
        wordings.SUFFIXES,
        wordings.PIRATES,
        wordings.ONE_WORDS,
        wordings.UPPERS,
        wordings.JSON_ONLYS,
    ],
)
def test_training_and_held_out_pools_are_disjoint(
    train: tuple[str, ...], held: tuple[str, ...]
) -> None:
    assert not {word.lower() for word in train} & {word.lower() for word in held}


def test_no_phrasing_of_small_talk_is_in_both_splits() -> None:
    intents = [i for group in smalltalk.LANGUAGES.values() for i in group] + [*smalltalk.ABOUT]
    train = {_key(text) for intent in intents for text in intent.train}
    held = {_key(text) for intent in intents for text in intent.held}
    assert not train & held


def test_invented_words_of_one_split_never_appear_in_the_other() -> None:
    train, held = (Draw(random.Random(1), split) for split in Split)
    assert not {train.word() for _ in range(5000)} & {held.word() for _ in range(5000)}


def test_no_held_out_prompt_is_among_the_training_prompts() -> None:
    draw = Draw(random.Random(3))
    trained = {draw_row(draw).prompt_key for _ in range(TRAIN_ROWS)}
    leaks = [
        row.prompt_key
        for family in families()
        for row in held_out_rows(family, HELD_ROWS)
        if row.prompt_key in trained
    ]
    assert leaks == []


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("split", list(Split))
def test_a_row_ends_with_the_assistants_answer(family: str, split: Split) -> None:
    draw = Draw(random.Random(5), split)
    for _ in range(40):
        row = FAMILIES[family](draw)
        assert row.answer.role == "assistant"
        assert bool(row.answer.text) != bool(row.answer.calls)
        assert row.turns[-2].role in ("user", "tool")
        assert all(not call.id for call in row.answer.calls)


def test_a_call_names_a_tool_of_its_row_and_only_its_parameters() -> None:
    draw = Draw(random.Random(6))
    for _ in range(300):
        row = FAMILIES["tools.parallel"](draw)
        tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in row.tools}
        for call in row.answer.calls:
            assert set(call.arguments) <= set(tools[call.name]["properties"])


def _key(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())
