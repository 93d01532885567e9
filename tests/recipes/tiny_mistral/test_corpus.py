import hashlib
import json
import random

import pytest

from playground.protocol.json_types import object_at, text_at
from recipes.tiny_mistral.corpus import (
    FAMILIES,
    CorpusRow,
    Draw,
    Split,
    about,
    draw_row,
    greetings,
    pools,
    unknown,
    wordings,
)
from recipes.tiny_mistral.corpus.draw import key_of
from recipes.tiny_mistral.evaluation import evaluated_families, held_out_rows

TRAIN_ROWS = 12_000
HELD_ROWS = 60
CORPUS_DIGEST = "9d924537b1cc2dc3"


def test_corpus_is_a_function_of_its_seed() -> None:
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


def test_small_talk_splits_are_disjoint() -> None:
    intents = [i for group in greetings.LANGUAGES.values() for i in group] + [*about.ABOUT]
    train = {_key(text) for intent in intents for text in intent.train}
    held = {_key(text) for intent in intents for text in intent.held}
    assert not train & held


@pytest.mark.slow
def test_invented_words_of_splits_are_disjoint() -> None:
    train, held = (Draw(random.Random(1), split) for split in Split)
    assert not {train.word() for _ in range(5000)} & {held.word() for _ in range(5000)}


@pytest.mark.slow
def test_held_out_prompts_are_never_trained() -> None:
    draw = Draw(random.Random(3))
    trained = {_prompt_key(draw_row(draw)) for _ in range(TRAIN_ROWS)}
    leaks = [
        _prompt_key(row)
        for family in evaluated_families()
        for row in held_out_rows(family, HELD_ROWS)
        if _prompt_key(row) in trained
    ]
    assert leaks == []


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("split", list(Split))
def test_row_ends_with_assistant_answer(family: str, split: Split) -> None:
    draw = Draw(random.Random(5), split)
    for _ in range(40):
        row = FAMILIES[family](draw)
        assert row.answer.role == "assistant"
        assert bool(row.answer.text) != bool(row.answer.calls)
        assert row.turns[-2].role in ("user", "tool")
        assert all(not call.id for call in row.answer.calls)


def test_call_names_a_tool_of_its_row() -> None:
    draw = Draw(random.Random(6))
    for _ in range(300):
        row = FAMILIES["tools.parallel"](draw)
        functions = [object_at(tool, "function") for tool in row.tools]
        parameters = {text_at(f, "name"): object_at(f, "parameters") for f in functions}
        for call in row.answer.calls:
            assert set(call.arguments) <= set(object_at(parameters[call.name], "properties"))


@pytest.mark.slow
def test_corpus_texts_are_those_the_model_was_trained_on() -> None:
    """Pins every text: the published weights are only reproducible from the same corpus."""
    digest = hashlib.sha256()
    draw = Draw(random.Random(11))
    for _ in range(TRAIN_ROWS):
        digest.update(_serialized(draw_row(draw)))
    for family in evaluated_families():
        for row in held_out_rows(family, HELD_ROWS):
            digest.update(_serialized(row))
    assert digest.hexdigest()[:16] == CORPUS_DIGEST


def _serialized(row: CorpusRow) -> bytes:
    turns = [turn.as_openai() for turn in row.turns]
    return json.dumps([row.family, turns, row.tools], ensure_ascii=False).encode()


def _prompt_key(row: CorpusRow) -> str:
    """Identify the task of a row: prompts that differ in case and punctuation are the same."""
    prompt = "|".join(key_of(turn.text) for turn in row.prompt if turn.role != "assistant")
    tools = json.dumps(row.tools, ensure_ascii=False)
    return f"{prompt}|{key_of(tools)}"


def _key(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())
