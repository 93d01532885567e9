"""Plain questions as rows, and what of them is kept for the evaluation."""

import json
import random
from pathlib import Path

import pytest

from recipes.smollm2 import rows as recipe
from recipes.smollm2.chat import asked_of, questions_of, whole_sentences
from recipes.smollm2.drawer import Drawer
from recipes.smollm2.questions import drawn
from recipes.smollm2.rows import chat_rows, lines_of

OWN = Path(recipe.__file__).parent / "own"
HELD_OUT = OWN / "held_out"


def test_questions_follow_from_seed() -> None:
    first, again, other = (drawn(random.Random(seed), 8) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == len(first) > 30


@pytest.mark.parametrize("name", ["tools", "choice", "extraction", "system"])
def test_held_out_rows_are_not_trained(name: str) -> None:
    trained = {json.dumps(row) for row in lines_of(OWN / f"{name}.jsonl")}
    held_out = {json.dumps(row) for row in lines_of(HELD_OUT / f"{name}.jsonl")}
    assert held_out
    assert not trained & held_out


def test_held_out_questions_are_not_asked() -> None:
    held_out = set(questions_of(HELD_OUT / "plain_chat.jsonl"))
    assert len(held_out) == 30
    assert not held_out & set(asked_of(OWN, 0))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One is odd. Two is even. Three", "One is odd. Two is even."),
        ("Here it is:\n```python\nprint(1)\n```\nIt pri", "Here it is:\n```python\nprint(1)\n```"),
        ("```python\nx = f(1). \ny", ""),
        ("A river.\nA river.\nA riv", ""),
        ("no end", ""),
    ],
)
def test_cut_answer_ends_with_sentence(text: str, kept: str) -> None:
    assert whole_sentences(text) == kept


def test_chat_rows_have_no_functions(tmp_path: Path) -> None:
    asked = ["Who are you?", "Hello there", "what is sound", "please book a table"]
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": "Yes."}]}
        for q in asked
    ]
    file = tmp_path / "chat.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = chat_rows(Drawer(0, ()), file, OWN, random.Random(0))
    assert made[:4] == rows
    (beside,) = made[4:]
    assert beside["tools"]
    assert "book a table" not in str(beside["messages"])
