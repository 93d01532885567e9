"""Rows as other services and people write them: understood, or refused in words that help."""

import bz2
from pathlib import Path
from typing import Any

import pytest

from finetune.data.formats import FormatError, RecognisedRow, to_row
from finetune.data.rows import read_rows
from finetune.data.training_row import Conversation, UnpairedPreference

TURNS = [("user", "When?"), ("assistant", "At six.")]
WITH_SYSTEM = [("system", "Be brief."), *TURNS]


def turns_of(record: dict[str, Any]) -> list[tuple[str, str]]:
    found: RecognisedRow = to_row(record, 1)
    assert found.notes == ()
    assert isinstance(found.row, Conversation)
    return [(message.role, message.content) for message in found.row.messages]


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "developer", "content": "Be brief."},
                      {"role": "user", "content": "When?"},
                      {"role": "assistant", "content": "At six."}]},
        {"messages": [{"role": "System", "content": "Be brief."},
                      {"role": "User", "content": "When?"},
                      {"role": "Chatbot", "content": "At six."}]},
        {"system": [{"text": "Be brief."}],
         "messages": [{"role": "user", "content": [{"text": "When?"}]},
                      {"role": "assistant", "content": [{"text": "At "}, {"text": "six."}]}]},
        {"systemInstruction": {"role": "system", "parts": [{"text": "Be brief."}]},
         "contents": [{"role": "user", "parts": [{"text": "When?"}]},
                      {"role": "model", "parts": [{"text": "At six."}]}]},
        {"system": "Be brief.",
         "conversations": [{"role": "human", "value": "When?"},
                           {"role": "gpt", "value": "At six."}]},
    ],
    ids=["openai developer", "cohere", "bedrock", "vertex", "sharegpt roles"],
)  # fmt: skip
def test_shape_is_understood(record: dict[str, Any]) -> None:
    assert turns_of(record) == WITH_SYSTEM


def test_flat_tool_calls_are_understood() -> None:
    record = {
        "messages": [
            {"role": "user", "content": "When?"},
            {"role": "assistant", "tool_calls": [{"name": "hours", "arguments": {"day": "mon"}}]},
            {"role": "tool", "content": "6"},
            {"role": "assistant", "content": "At six."},
        ]
    }
    row = to_row(record, 1).row
    assert isinstance(row, Conversation)
    (call,) = row.messages[1].tool_calls
    assert (call.name, call.arguments) == ("hours", '{"day": "mon"}')


@pytest.mark.parametrize(
    ("label", "said"),
    [("good", True), ("Bad", False), (1, True), (0, False), ("False", False),
     ("undesirable", False)],
)  # fmt: skip
def test_label_in_words_is_understood(label: object, said: bool) -> None:
    row = to_row({"prompt": "When?", "completion": "At six.", "label": label}, 1).row
    assert isinstance(row, UnpairedPreference)
    assert row.label is said


def test_label_of_classes_is_noted() -> None:
    found = to_row({"prompt": "When?", "completion": "At six.", "label": "spam"}, 1)
    assert found.notes == (("label", "is not used"),)
    assert to_row({"text": "At six.", "label": 1}, 1).notes == (("label", "is not used"),)


@pytest.mark.parametrize(
    ("record", "field", "problem"),
    [
        ({"prompt": "When?", "chosen": "Six.", "rejected": "Six. "}, "rejected", "is the same"),
        ({" Prompt ": "Who?", "Completion": None}, "line", "but no completion: it is missing"),
        ({"contents": [{"role": "user", "parts": [{"inlineData": {}}]}]}, "contents[0].parts",
         "must be a list of objects with text"),
        ({"messages": [{"role": "boss", "content": "When?"}]}, "messages[0].role", "is none of"),
    ],
)  # fmt: skip
def test_shape_is_refused_with_help(record: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as caught:
        to_row(record, 1)
    assert caught.value.field == field


def test_alpaca_template_is_noted() -> None:
    (note,) = to_row({"text": "### Instruction:\nWhen?\n\n### Response:\nAt six."}, 1).notes
    assert "tags of a chat template" in note[1]


def test_bzip2_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.bz2"
    path.write_bytes(bz2.compress(b'{"prompt": "When?", "completion": "At six."}\n'))
    (error,) = read_rows(path).errors
    assert (error.field, error.problem) == ("file", "is packed with bzip2; unpack it, or use gzip")
