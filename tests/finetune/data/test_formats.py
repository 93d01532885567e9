"""Every format that people have becomes the same rows; what cannot be is named."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.dataset import prepare
from finetune.data.examples import TrainingExample
from finetune.data.rows import Conversation, PlainText, Preference, read_rows
from finetune.recipe import embedded_cpu
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)
USER = {"role": "user", "content": "Hi"}
HELLO = {"role": "assistant", "content": "Hello!"}
BYE = {"role": "assistant", "content": "Bye!"}
TALK = {"messages": [USER, HELLO]}
PREFERENCES: list[tuple[str, dict[str, Any]]] = [
    ("prompt, chosen, rejected", {"prompt": "Hi", "chosen": "Hello!", "rejected": "Bye!"}),
    ("prompt, chosen, rejected", {"prompt": [USER], "chosen": [HELLO], "rejected": [BYE]}),
    ("chosen, rejected", {"chosen": [USER, HELLO], "rejected": [USER, BYE]}),
    (
        "preference",
        {"input": {"messages": [USER]}, "preferred_output": [HELLO], "non_preferred_output": [BYE]},
    ),
    ("alpaca preference", {"instruction": "Hi", "chosen": "Hello!", "rejected": "Bye!"}),
    (
        "sharegpt preference",
        {
            "conversations": [{"from": "human", "value": "Hi"}],
            "chosen": {"from": "gpt", "value": "Hello!"},
            "rejected": {"from": "gpt", "value": "Bye!"},
        },
    ),
]


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(("name", "row"), PREFERENCES)
def test_preference_formats_give_same_pair(tmp_path: Path, name: str, row: dict[str, Any]) -> None:
    read = read_rows(lines(tmp_path / "rows.jsonl", row))
    assert (read.errors, read.formats) == ((), {name: 1})
    (pair,) = read.preferences
    said = [each.content for each in (*pair.messages, pair.chosen, pair.rejected)]
    assert said == ["Hi", "Hello!", "Bye!"]


def test_containers_give_same_rows(tmp_path: Path) -> None:
    rows = [
        {"prompt": "What, is\n\"it\"?", "completion": "A thing, é 🙂."},
        {"prompt": "Hi", "completion": "Hello!"},
    ]  # fmt: skip
    lines(tmp_path / "a.jsonl", *rows)
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=2))
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ("prompt", "completion"))
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = [read_rows(tmp_path / f"a.{end}") for end in ("jsonl", "json", "csv", "parquet")]
    messages = [[row.messages for row in read.conversations] for read in found]
    assert all(each == messages[0] for each in messages)
    assert len(messages[0]) == 2
    assert [row.line for row in found[1].conversations] == [2, 6]
    assert [row.line for row in found[2].conversations] == [2, 4]


def test_nested_rows_from_parquet_and_csv(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([TALK]), tmp_path / "a.parquet")
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["messages"], [json.dumps(TALK["messages"])]])
    for name in ("a.parquet", "a.csv"):
        assert len(read_rows(tmp_path / name).conversations) == 1


@pytest.mark.slow
def test_plain_text_is_cut_to_max_length(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("All the words of a book. " * 50)
    (row,) = read_rows(path).rows
    assert isinstance(row, PlainText)
    data = prepare([path], TOKENIZER, tmp_path).select(replace(embedded_cpu(), max_length=64))
    examples = [example for example in data.train if isinstance(example, TrainingExample)]
    assert max(len(example.token_ids) for example in examples) == 64
    spelled = b"".join(TOKENIZER.token_bytes(t) for e in examples for t in e.token_ids)
    assert spelled.decode() == path.read_text()


def test_sharegpt_calls_get_their_results(tmp_path: Path) -> None:
    call = {"name": "get_price", "arguments": {"item": "tea"}}
    row = {
        "conversations": [
            {"from": "human", "value": "Price of tea?"},
            {"from": "function_call", "value": json.dumps(call)},
            {"from": "observation", "value": '{"price": 3}'},
            {"from": "gpt", "value": "3 euros."},
        ],
        "tools": json.dumps([{"name": "get_price", "parameters": {"type": "object"}}]),
    }
    (talk,) = read_rows(lines(tmp_path / "rows.jsonl", row)).conversations
    assert talk.messages[1].tool_calls[0].id == talk.messages[2].tool_call_id
    assert talk.tools[0].name == "get_price"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b'[{"prompt": "a", "completion": "b"}, {"prompt": ]', "nothing after it"),
        ("a.json", b'[{"prompt": "a", "completion": "b"} {"x": 1}]', "comma"),
        ("a.csv", b"prompt,completion\na\n", "fewer cells than the header"),
        ("a.csv", b"prompt,completion\na,b,c\n", "more cells than the header; quote"),
        ("a.csv", b'prompt,completion\na,"b\n', "not CSV"),
        ("a.csv", b"prompt,completion\na,\x81\n", "not UTF-8"),
        ("a.parquet", b"PAR1 no", "not Parquet"),
        ("a.jsonl", b'{"prompt": "a", "completion": "' + b"x" * 50_000_000 + b'"}\n', "at most"),
        ("a.jsonl", b'{"a":' * 100_000, "nested"),
        ("a.jsonl", '{"prompt": "é"}\n'.encode("cp1252"), "UTF-8"),
        ("a.json", b"", None),
        ("a.jsonl", b'{"prompt": "a", "chosen": "b", "rejected": "b"}', "same as chosen"),
    ],
)
def test_broken_file_is_reported(
    tmp_path: Path, name: str, content: bytes, words: str | None
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    read = read_rows(path)
    if words is None:
        assert not read.rows
        assert not read.errors
    else:
        assert any(words in str(error) for error in read.errors)


PARTS_OF_JSON = (
    "",
    '"',
    "{",
    "}",
    "[",
    "]",
    "null",
    "NaN",
    "true",
    "-",
    ",",
    "\x00",
    "\n",
    "\\ud800",
)
TEXTS = (*PARTS_OF_JSON, "1e999", '"role": "boss",', '{"text": "x"}\n')
PIECES = st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", *(each.encode() for each in TEXTS)])
WHOLE = [
    json.dumps(TALK).encode(),
    json.dumps(PREFERENCES[3][1]).encode(),
    json.dumps({"prompt": "a", "completion": "b", "tools": [{"function": {"name": "f"}}]}).encode(),
]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 2),
    cuts=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 12), PIECES), max_size=3),
    ending=st.sampled_from([".jsonl", ".jsonl", ".json", ".csv", ".txt"]),
)
def test_mutated_files_lose_no_row(
    tmp_path: Path, which: int, cuts: list[tuple[int, int, bytes]], ending: str
) -> None:
    content = WHOLE[which]
    for at, gone, piece in cuts:
        content = content[:at] + piece + content[at + gone :]
    path = tmp_path / f"rows{ending}"
    path.write_bytes(content + b"\n" + json.dumps(TALK).encode() + b"\n")
    data = prepare([path], TOKENIZER, tmp_path).select(replace(embedded_cpu(), max_length=256))
    if ending != ".jsonl":
        return
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"[") or text.split(b"\n")[0].strip()[-1:] in (b"{", b"[", b","):
        return  # printed over several lines
    records = sum(bool(line.strip()) for line in text.split(b"\n"))
    assert len(data.train_rows) + len({error.line for error in data.errors}) == records


def test_rows_have_their_kind(tmp_path: Path) -> None:
    read = read_rows(lines(tmp_path / "a.jsonl", TALK, PREFERENCES[0][1], {"text": "x"}))
    assert [type(row) for row in read.rows] == [Conversation, Preference, PlainText]
