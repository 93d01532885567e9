"""Preferences in the shapes that published data sets have them."""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.data.rows import Preference, read_rows

USER = {"role": "user", "content": "Hi"}
HELLO = {"role": "assistant", "content": "Hello!"}
BYE = {"role": "assistant", "content": "Bye!"}
SHAPES: dict[str, dict[str, Any]] = {
    "ultrafeedback": {"prompt": "Hi", "chosen": [USER, HELLO], "rejected": [USER, BYE]},
    "ultrafeedback with messages": {
        "prompt": "Hi", "messages": [USER, HELLO], "chosen": [USER, HELLO], "rejected": [USER, BYE],
    },
    "orca": {"question": "Hi", "chosen": "Hello!", "rejected": "Bye!"},
    "hh": {
        "chosen": "\n\nHuman: Hi\n\nAssistant: Hello!",
        "rejected": "\n\nHuman: Hi\n\nAssistant: Bye!",
    },
    "swift": {"messages": [USER, HELLO], "rejected_response": "Bye!"},
    "swift messages": {"messages": [USER, HELLO], "rejected_messages": [USER, BYE]},
    "messages": {"messages": [USER], "chosen": HELLO, "rejected": BYE},
    "messages with the answer": {"messages": [USER, HELLO], "chosen": "Hello!", "rejected": "Bye!"},
}  # fmt: skip


def read(path: Path, row: dict[str, Any]) -> Preference:
    path.write_text(json.dumps(row) + "\n")
    found = read_rows(path)
    assert not found.errors
    (pair,) = found.preferences
    return pair


def error(path: Path, row: dict[str, Any]) -> str:
    path.write_text(json.dumps(row) + "\n")
    (found,) = read_rows(path).errors
    return f"{found.field}: {found.problem}"


@pytest.mark.parametrize("name", SHAPES)
def test_shape_gives_the_pair(tmp_path: Path, name: str) -> None:
    pair = read(tmp_path / "rows.jsonl", SHAPES[name])
    said = [each.content for each in (*pair.messages, pair.chosen, pair.rejected)]
    assert said == ["Hi", "Hello!", "Bye!"]


@pytest.mark.parametrize("name", SHAPES)
def test_shape_takes_top_level_system(tmp_path: Path, name: str) -> None:
    pair = read(tmp_path / "rows.jsonl", {"system": "Be terse.", **SHAPES[name]})
    assert [message.role for message in pair.messages] == ["system", "user"]


@pytest.mark.parametrize("name", SHAPES)
def test_pair_survives_as_json(tmp_path: Path, name: str) -> None:
    pair = read(tmp_path / "rows.jsonl", SHAPES[name])
    assert read(tmp_path / "rows.jsonl", dict(pair.as_json())) == pair


def test_earlier_turns_become_the_prompt(tmp_path: Path) -> None:
    begin = [USER, HELLO, {"role": "user", "content": "Who?"}]
    row = {"prompt": "Hi", "chosen": [*begin, HELLO], "rejected": [*begin, BYE]}
    assert len(read(tmp_path / "rows.jsonl", row).messages) == 3


def test_other_prompt_is_fault(tmp_path: Path) -> None:
    row = {**SHAPES["ultrafeedback"], "prompt": "Who?"}
    assert error(tmp_path / "rows.jsonl", row) == "chosen: does not begin with prompt"


def test_turns_that_differ_earlier_are_fault(tmp_path: Path) -> None:
    other = {"role": "user", "content": "Who?"}
    row = {"chosen": [USER, HELLO], "rejected": [other, BYE]}
    assert error(tmp_path / "rows.jsonl", row).startswith("rejected: must be the chosen")


def test_texts_without_question_are_fault(tmp_path: Path) -> None:
    said = error(tmp_path / "rows.jsonl", {"chosen": "Hello!", "rejected": "Bye!"})
    assert said == "chosen: is text without its question; add the field prompt"
