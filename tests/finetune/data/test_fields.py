"""No field of a row is ignored in silence: it is understood, a fault, or noted with its count."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finetune.data.dataset import prepare
from finetune.data.examples import MASKED, to_examples
from finetune.data.formats import to_row
from finetune.data.rows import Conversation, read_rows
from finetune.data.training_row import UnpairedPreference
from finetune.recipe import embedded_cpu
from finetune.report import report
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)
USER = {"role": "user", "content": "Who signs?"}
ANSWER = {"role": "assistant", "content": "The yard master."}
CALL = {"id": "abcdefghi", "function": {"name": "status", "arguments": {"parcel": "P1"}}}
PARAMETERS = {"type": "object", "properties": {"parcel": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "status", "parameters": PARAMETERS}}]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def conversation(file: Path, row: Any) -> Conversation:
    read = read_rows(write(file, row))
    assert not read.errors
    (talk,) = read.conversations
    return talk


def error(file: Path, row: Any) -> str:
    (problem,) = read_rows(write(file, row)).errors
    return f"{problem.field}: {problem.problem}"


def notes(file: Path, *rows: Any) -> list[str]:
    read = read_rows(write(file, *rows))
    assert not read.errors
    return [f"{note.field}: {note.problem}" for note in read.notes]


# Weights and flags


@pytest.mark.parametrize("flag", [{"weight": 0}, {"train": False}, {"loss": False}])
def test_flag_masks_its_answer(file: Path, flag: dict[str, object]) -> None:
    row = {"messages": [USER, {"role": "assistant", "content": "Nobody.", **flag}, USER, ANSWER]}
    examples = to_examples(conversation(file, row), TOKENIZER)
    ids = [token for each in examples for token in each.labels if token != MASKED]
    assert b"".join(map(TOKENIZER.token_bytes, ids)) == b"The yard master."


def test_flag_masks_sharegpt_turn(file: Path) -> None:
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "train": False}]
    row = {
        "conversations": [*turns, {"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}]
    }
    assert conversation(file, row).answers == (3,)


def test_masked_answer_survives_as_json(file: Path) -> None:
    row = {"messages": [USER, {**ANSWER, "weight": 0}, USER, ANSWER]}
    talk = conversation(file, row)
    assert conversation(file, talk.as_json()) == talk


def test_row_of_weight_zero_is_fault(file: Path) -> None:
    assert "weight 0" in error(file, {"messages": [USER, {**ANSWER, "weight": 0}]})


def test_other_weight_is_fault(file: Path) -> None:
    row = {"messages": [USER, {**ANSWER, "weight": 0.5}]}
    assert error(file, row) == "messages[1].weight: must be 0 or 1"


def test_flag_of_user_is_noted(file: Path) -> None:
    row = {"messages": [{**USER, "train": True}, ANSWER]}
    assert "only the assistant's" in notes(file, row)[0]


# System, calls, tools


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, ANSWER]},
        {"prompt": "Who signs?", "completion": "The yard master."},
        {"instruction": "Who signs?", "output": "The yard master."},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    ],
)
def test_top_level_system_comes_first(file: Path, row: dict[str, Any]) -> None:
    first = conversation(file, {"system": "Be brief.", **row}).messages[0]
    assert (first.role, first.content) == ("system", "Be brief.")


def test_system_twice_is_fault(file: Path) -> None:
    row = {"system": "A", "messages": [{"role": "system", "content": "B"}, USER, ANSWER]}
    assert error(file, row).startswith("system: is not the system message of messages[0]")


def test_legacy_function_call_is_read(file: Path) -> None:
    call = {"role": "assistant", "content": None,
            "function_call": {"name": "status", "arguments": '{"parcel": "P1"}'}}  # fmt: skip
    result = {"role": "function", "name": "status", "content": "sorted"}
    row = {"messages": [USER, call, result, ANSWER], "functions": [TOOLS[0]["function"]]}
    talk = conversation(file, row)
    assert talk.messages[1].tool_calls[0].id == talk.messages[2].tool_call_id
    assert talk.tools[0].name == "status"


def test_consecutive_calls_are_one_answer(file: Path) -> None:
    calls = [{"role": "assistant", "tool_calls": [{**CALL, "id": f"abcdefgh{n}"}]} for n in "12"]
    results = [{"role": "tool", "content": n} for n in "12"]
    talk = conversation(file, {"messages": [USER, *calls, *results, ANSWER]})
    assert [len(message.tool_calls) for message in talk.messages] == [0, 2, 0, 0, 0]
    assert [message.tool_call_id for message in talk.messages[2:4]] == ["abcdefgh1", "abcdefgh2"]


def test_tool_content_object_becomes_json(file: Path) -> None:
    call = {"role": "assistant", "tool_calls": [CALL]}
    row = {"messages": [USER, call, {"role": "tool", "content": {"state": "sorted"}}, ANSWER]}
    assert conversation(file, row).messages[2].content == '{"state": "sorted"}'


def test_tool_parameters_text_is_read(file: Path) -> None:
    function = {"name": "status", "parameters": json.dumps(PARAMETERS)}
    row = {"messages": [USER, ANSWER], "tools": [{"function": function}]}
    assert conversation(file, row).tools[0].parameters == PARAMETERS


def test_content_parts_are_joined(file: Path) -> None:
    parts = [{"type": "text", "text": "Who "}, {"type": "text", "text": "signs?"}]
    row = {"messages": [{"role": "user", "content": parts}, ANSWER]}
    assert conversation(file, row).messages[0].content == "Who signs?"


def test_speaker_name_is_kept(file: Path) -> None:
    row = {"messages": [{**USER, "name": "Ada"}, ANSWER]}
    assert conversation(file, row).messages[0].name == "Ada"


def test_arrow_nulls_are_left_out(tmp_path: Path) -> None:
    arguments = [{"parcel": "P1"}, {"depot": "Nord"}]
    rows = [
        {
            "messages": [USER, {"role": "assistant", "tool_calls": [
                {"id": "abcdefghi", "function": {"name": "f", "arguments": given}}]}],
            "tools": [{"function": {"name": "f", "parameters": {
                "type": "object", "properties": {name: {"type": "string"} for name in given}}}}],
        }
        for given in arguments
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    read = read_rows(tmp_path / "rows.parquet")
    calls = [row.messages[1].tool_calls[0].arguments for row in read.conversations]
    assert [json.loads(call) for call in calls] == arguments
    names = [(row.tools[0].parameters or {})["properties"] for row in read.conversations]
    assert [list(each) for each in names] == [["parcel"], ["depot"]]


# Order


@pytest.mark.parametrize(
    ("messages", "place", "words"),
    [
        ([ANSWER, USER, ANSWER], "messages[0]", "no question"),
        ([USER, ANSWER, ANSWER], "messages[2]", "two answers in a row"),
        (
            [USER, {"role": "assistant", "tool_calls": [CALL]}, USER, ANSWER],
            "messages[1].tool_calls",
            "without a result before messages[2]",
        ),
        (
            [USER, {"role": "tool", "content": "x", "tool_call_id": "abcdefghi"}, ANSWER],
            "messages[1].tool_call_id",
            "no call before it",
        ),
    ],
)
def test_order_fault_names_message(file: Path, messages: list[Any], place: str, words: str) -> None:
    said = error(file, {"messages": messages})
    assert said.startswith(f"{place}: ")
    assert words in said


def test_masked_greeting_may_come_first(file: Path) -> None:
    row = {"messages": [{**ANSWER, "weight": 0}, USER, ANSWER]}
    assert conversation(file, row).answers == (2,)


# What is not trained


@pytest.mark.parametrize("field", ["label", "kto_tag"])
@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "completion": "b"},
        {"prompt": [USER], "completion": [ANSWER]},
        {"messages": [USER, ANSWER]},
        {"instruction": "a", "output": "b"},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    ],
)
@pytest.mark.parametrize("label", [True, "False"])
def test_labelled_answer_is_unpaired_preference(
    file: Path, field: str, row: dict[str, Any], label: object
) -> None:
    file.write_text(json.dumps(row | {field: label}) + "\n")
    (read,) = read_rows(file).rows
    assert isinstance(read, UnpairedPreference)
    assert read.label is (label is True)
    assert [message.role for message in read.messages] == ["user"]
    again = to_row(read.as_json(), 1)
    assert again.row == read
    assert again.notes == ()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": [USER, ANSWER, USER], "label": True}, "label: is of the last message"),
        ({"messages": [USER, {**ANSWER, "weight": 0}], "kto_tag": True}, "every answer has weight"),
        ({"prompt": "a", "completion": "b", "kto_tag": "yes"}, "kto_tag: must be true for a good"),
        ({"text": "a", "label": False}, "label: says whether an answer is good"),
    ],
)
def test_label_without_answer_is_error(file: Path, row: dict[str, Any], words: str) -> None:
    assert words in error(file, row)


def test_unlabelled_row_stays_conversation(file: Path) -> None:
    file.write_text(json.dumps({"prompt": "a", "completion": "b", "kto_tag": None}) + "\n")
    assert isinstance(read_rows(file).rows[0], Conversation)


def test_label_of_another_kind_is_noted(file: Path) -> None:
    assert notes(file, {"text": "a", "label": "billing"}) == ["label: is not used"]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, ANSWER], "images": ["label.png"]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ANSWER]},
        {"messages": [{**USER, "images": ["label.png"]}, ANSWER]},
    ],
)
def test_images_are_refused(file: Path, row: dict[str, Any]) -> None:
    assert "not trained here" in error(file, row)


def test_image_tag_alone_is_noted(file: Path) -> None:
    row = {"messages": [{"role": "user", "content": "<image>What is it?"}, ANSWER], "images": []}
    assert "stands for an image" in notes(file, row)[0]


@pytest.mark.parametrize("text", ["<s>[INST] a [/INST] b", "<|im_start|>user\na<|im_end|>"])
def test_templated_text_is_noted(file: Path, text: str) -> None:
    assert "tags of a chat template" in notes(file, {"text": text})[0]


def test_unused_field_is_counted_once(file: Path) -> None:
    write(file, *[{"prompt": "a", "completion": str(n), "score": n} for n in range(300)])
    (note,) = read_rows(file).notes
    assert (note.field, note.count, note.lines) == ("score", 300, (1, 2, 3, 4, 5))


def test_unused_field_of_message_is_noted(file: Path) -> None:
    row = {"messages": [USER, {**ANSWER, "mood": "Good."}]}
    assert notes(file, row) == ["messages[1].mood: is not used"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_read_and_noted(file: Path, name: str) -> None:
    row = {"messages": [USER, {**ANSWER, name: "Because."}]}
    noted = f"messages[1].{name}: is learned only by models with thinking blocks"
    assert notes(file, row) == [noted]
    (read,) = read_rows(file).rows
    assert isinstance(read, Conversation)
    assert read.messages[1].reasoning == "Because."


def test_reasoning_of_users_is_unused(file: Path) -> None:
    row = {"messages": [{**USER, "reasoning": "Hm."}, ANSWER]}
    assert notes(file, row) == ["messages[0].reasoning: is not used"]


def test_null_fields_are_not_noted(file: Path) -> None:
    assert not notes(file, {"messages": [{**USER, "refusal": None}, ANSWER], "score": None})


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"text": "Gate \ud83d opens"}, "text"),
        ({"prompt": "a", "completion": "b", "tools": [{"name": "f\ud83d"}]}, "tools[0].name"),
    ],
)
def test_half_a_character_is_fault(file: Path, row: dict[str, Any], field: str) -> None:
    assert error(file, row).startswith(f"{field}: not valid Unicode")


# What check says before a base is loaded


@pytest.mark.slow
def test_check_names_method_of_preferences(file: Path, tmp_path: Path) -> None:
    write(file, {"prompt": "Which gate?", "chosen": "Four.", "rejected": "None."})
    (problem, *_) = report(prepare([file], TOKENIZER, tmp_path), embedded_cpu()).problems
    assert "--set method=dpo" in problem


def test_check_names_mixed_rows(file: Path, tmp_path: Path) -> None:
    write(file, {"prompt": "Which gate?", "chosen": "Four.", "rejected": "None."}, {"text": "Hi"})
    (problem,) = report(prepare([file], TOKENIZER, tmp_path), embedded_cpu()).problems
    assert "1 of 2 rows do not fit sft" in problem


def test_check_reports_faulty_evaluation_file(file: Path, tmp_path: Path) -> None:
    write(file, {"text": "Hi"})
    held_out = write(tmp_path / "held.jsonl", {"words": "x"})
    found = report(prepare([file], TOKENIZER, tmp_path, held_out), embedded_cpu())
    assert [each.file for each in found.errors] == ["held.jsonl"]
    assert found.problems == ("no row of the evaluation file held.jsonl can be used",)


@pytest.mark.slow
def test_errors_are_one_line_a_kind(file: Path, tmp_path: Path) -> None:
    write(file, {"text": "Hi"}, *[{"messages": [USER, {"role": "boss", "content": str(n)}]}
                                  for n in range(3000)])  # fmt: skip
    (found,) = report(prepare([file], TOKENIZER, tmp_path), embedded_cpu()).errors
    assert (found.count, found.lines) == (3000, (2, 3, 4, 5, 6))
    assert "3,000 rows: lines 2, 3, 4, 5, 6 and 2,995 more" in str(found)
