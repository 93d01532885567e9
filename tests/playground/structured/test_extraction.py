"""JSON mode over texts: one, many, from files; and what is shown of an answer."""

import csv
import io
import json
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.errors import InvalidRequest
from playground.protocol import Sampling
from playground.structured.extraction import (
    Extracted,
    as_csv,
    as_jsonl,
    extract_many,
    field_marks,
    json_request,
    texts_of_file,
)

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "city": {"type": "string"}},
    "required": ["name", "city"],
}
GREEDY = Sampling(temperature=0, max_tokens=128)


async def test_twenty_texts_each_become_a_value(backend: LocalBackend) -> None:
    names = ["Anna", "Clara", "David", "Elena", "Frank"]
    cities = ["Paris", "Oslo", "Vienna", "Lisbon"]
    pairs = [(name, city) for name in names for city in cities]
    texts = [f"Name: {name}; City: {city}" for name, city in pairs]
    like = json_request("embedded", texts[0], PERSON, GREEDY)
    rows = [row async for row in extract_many(backend, like, texts)]
    assert sorted(row.index for row in rows) == list(range(20))
    assert {row.guarantee for row in rows} == {"strict"}
    exact = sum(
        row.value == dict(zip(("name", "city"), pairs[row.index], strict=True)) for row in rows
    )
    assert exact >= 18


async def test_a_text_that_fails_is_named_and_the_others_go_on(backend: LocalBackend) -> None:
    texts = ["Name: Anna; City: Oslo", "word " * 5000, "Name: Clara; City: Rome"]
    like = json_request("embedded", texts[0], PERSON, GREEDY)
    rows = sorted(
        [row async for row in extract_many(backend, like, texts)], key=lambda row: row.index
    )
    assert [bool(row.problem) for row in rows] == [False, True, False]
    assert "context" in rows[1].problem


async def test_a_value_that_was_cut_off_is_a_problem(backend: LocalBackend) -> None:
    like = json_request("embedded", "x", PERSON, Sampling(temperature=0, max_tokens=2))
    (row,) = [row async for row in extract_many(backend, like, ["Name: Anna; City: Oslo"])]
    assert "max tokens" in row.problem


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.csv", 'id,text\n1,one\n2,"two, too"\n', ("one", "two, too")),
        ("a.csv", "1;a longer text\n2;another long text\n", ("a longer text", "another long text")),
        ("a.tsv", "text\tid\none\t1\n", ("one",)),
        ("a.csv", "\ufefftext\nérable\n", ("érable",)),
        ("a.txt", "one\r\ntwo\n\n", ("one", "two")),
        ("a.txt", "one\nline\n\ntwo\n", ("one\nline", "two")),
    ],
)
def test_texts_are_read_from_a_file(
    tmp_path: Path, name: str, content: str, texts: tuple[str, ...]
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert texts_of_file(path) == texts


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no text"),
        (b"\xff\xfe\x00", "not UTF-8 at byte 0"),
        (b"x\n" * 10_001, "10,000 at most"),
    ],
)
def test_a_file_without_texts_says_why(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=problem):
        texts_of_file(path)


ROWS = [
    Extracted(1, "b", problem="broke"),
    Extracted(0, "a", {"n": 1, "list": [1], "formula": "=1+1"}, "strict"),
]


def test_rows_are_written_in_the_order_of_the_texts() -> None:
    lines = [json.loads(line) for line in as_jsonl(ROWS).splitlines()]
    assert [line["text"] for line in lines] == ["a", "b"]
    assert lines[0]["value"] == ROWS[1].value
    assert lines[1]["problem"] == "broke"


def test_csv_holds_fields_as_columns_and_no_formula() -> None:
    heads, first, second = csv.reader(io.StringIO(as_csv(ROWS)))
    assert heads == ["text", "n", "list", "formula", "problem"]
    assert first == ["a", "1", "[1]", "'=1+1", ""]
    assert second[-1] == "broke"


def test_every_field_is_marked_with_its_rules_and_its_fault() -> None:
    schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        },
        "required": ["age", "name"],
        "$defs": {"tag": {"type": "string", "maxLength": 2}},
    }
    marks = {mark.path: mark for mark in field_marks(schema, {"age": -1, "tags": ["ab", "abc"]})}
    assert marks["$.age"].rules == "integer, minimum 0"
    assert "less than the minimum" in marks["$.age"].problem
    assert marks["$.tags[0]"].problem == ""
    assert "too long" in marks["$.tags[1]"].problem
    assert "'name' is a required property" in marks["$"].problem
