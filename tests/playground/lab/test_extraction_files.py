"""Texts read from files, and results written to them."""

import csv
import io
import json
from pathlib import Path

import pytest

from playground.errors import InvalidRequest
from playground.lab.extraction import Extracted
from playground.lab.extraction_files import as_csv, as_jsonl, texts_of_file


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
