"""Files as spreadsheets, pandas and exports write them give the rows that JSON lines give."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pytest

from finetune.data.formats import read_columns
from finetune.data.repair import fix
from finetune.data.rows import ReadRows, read_row, read_rows
from playground.errors import InvalidSettings

ROWS = [
    {"prompt": "Who signs, and when?", "completion": "The yard master; before noon."},
    {"prompt": "Wann öffnet Tor 4?", "completion": "Um 6 – täglich."},
]
TALK: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Who signs?"},
        {"role": "assistant", "content": "The yard master."},
    ]
}


def said(read: ReadRows) -> list[tuple[str, ...]]:
    assert not read.errors
    return [tuple(message.content for message in row.messages) for row in read.conversations]


EXPECTED = [(row["prompt"], row["completion"]) for row in ROWS]


def excel(separator: str, encoding: str) -> bytes:
    text = io.StringIO()
    pd.DataFrame(ROWS).to_csv(text, sep=separator, index=False, lineterminator="\r\n")
    return text.getvalue().encode(encoding)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_spreadsheet_csv_is_read(tmp_path: Path, separator: str, encoding: str) -> None:
    (tmp_path / "rows.csv").write_bytes(excel(separator, encoding))
    assert said(read_rows(tmp_path / "rows.csv")) == EXPECTED


def test_separator_line_names_delimiter(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"sep=;\r\n" + excel(";", "utf-8"))
    assert said(read_rows(tmp_path / "rows.csv")) == EXPECTED


def test_windows_encoding_is_noted(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(excel(";", "cp1252"))
    (note,) = read_rows(tmp_path / "rows.csv").notes
    assert "Windows-1252" in note.problem


def test_titles_in_any_case_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("Prompt,COMPLETION\na,b\n")
    assert said(read_rows(tmp_path / "rows.csv")) == [("a", "b")]


def test_json_answers_stay_text(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('prompt,completion\na,"{""x"": 1}"\n')
    assert said(read_rows(tmp_path / "rows.csv")) == [("a", '{"x": 1}')]


def test_messages_as_text_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": json.dumps(TALK["messages"])}))
    assert len(read_rows(tmp_path / "rows.jsonl").conversations) == 1


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.csv.gz", "rows.jsonl"])
def test_gzip_is_unpacked(tmp_path: Path, name: str) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    content = excel(",", "utf-8") if ".csv" in name else lines
    (tmp_path / name).write_bytes(gzip.compress(content))
    assert said(read_rows(tmp_path / name)) == EXPECTED


def test_cut_off_gzip_is_reported(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": f"row {n * n}"}) + "\n" for n in range(5000)).encode()
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines)[:-500])
    assert "cannot be unpacked" in read_rows(tmp_path / "rows.jsonl.gz").errors[-1].problem


@pytest.mark.parametrize(
    ("name", "inside", "words"),
    [
        ("rows.zip", "rows.jsonl", "zip archive with rows.jsonl"),
        ("rows.xlsx", "xl/workbook.xml", "Excel workbook"),
        ("rows.csv", "xl/workbook.xml", "Excel workbook"),
    ],
)
def test_archive_is_one_fault(tmp_path: Path, name: str, inside: str, words: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr(inside, "x\n" * 1000)
    (error,) = read_rows(tmp_path / name).errors
    assert words in error.problem


FRAME = pd.DataFrame(ROWS)


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps({"data": ROWS}, indent=1),
        json.dumps({"version": 2, "rows": ROWS}),
        FRAME.to_json(),
        FRAME.to_json(orient="split"),
        FRAME.to_json(orient="records"),
        FRAME.to_json(orient="records", lines=True),
        json.dumps(FRAME.to_dict("list"), indent=1),
    ],
)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_json_shape_is_read(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert said(read_rows(tmp_path / name)) == EXPECTED


def test_utf16_json_lines_are_read(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_bytes(lines.encode("utf-16"))
    assert said(read_rows(tmp_path / "rows.jsonl")) == EXPECTED


def test_wrapped_rows_keep_their_lines(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"data": [TALK, TALK]}, indent=1))
    lines = [row.line for row in read_rows(tmp_path / "rows.json").rows]
    text = (tmp_path / "rows.json").read_text().splitlines()
    assert [text[line - 1] for line in lines] == ["  {", "  {"]


def test_fields_beside_wrapped_rows_are_noted(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"version": 2, "data": ROWS}))
    (note,) = read_rows(tmp_path / "rows.json").notes
    assert note.field == "version"


def test_list_of_turns_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([TALK["messages"]]))
    assert said(read_rows(tmp_path / "rows.json")) == [("Who signs?", "The yard master.")]


def test_broken_object_loses_no_other(tmp_path: Path) -> None:
    whole = json.dumps(TALK, indent=1)
    (tmp_path / "rows.jsonl").write_text(f"{whole}\n{whole[:-9]}\n{whole}\n")
    read = read_rows(tmp_path / "rows.jsonl")
    assert (len(read.rows), len(read.errors)) == (2, 1)


# Column mapping


def test_columns_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("Question,Answer\na,b\n")
    columns = read_columns("question=prompt, answer=completion")
    assert said(read_rows(tmp_path / "rows.csv", columns)) == [("a", "b")]


def test_mapped_column_replaces_the_field(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt,question,completion\n17,a,b\n")
    read = read_rows(tmp_path / "rows.csv", {"question": "prompt"})
    assert said(read) == [("a", "b")]
    assert [note.field for note in read.notes] == ["prompt"]


def test_a_mapped_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt,completion\na,b\n")
    (error,) = read_rows(tmp_path / "rows.csv", {"question": "prompt"}).errors
    assert "has nothing in 'question', which is mapped to prompt; it has prompt" in error.problem


@pytest.mark.parametrize("text", ["question", "question=words", "a=prompt,b=prompt"])
def test_wrong_mapping_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettings, match="columns: "):
        read_columns(text)


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ({"question": "a", "answer": "b"}, "set columns to question=prompt,answer=completion"),
        (
            {"instruction": "a", "context": "b", "response": "c"},
            "set columns to instruction=instruction,context=input,response=output",
        ),
    ],
)
def test_other_columns_get_a_mapping(tmp_path: Path, row: dict[str, str], advice: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (error,) = read_rows(tmp_path / "rows.jsonl").errors
    assert advice in error.problem
    mapping = error.problem.partition("set columns to ")[2]
    assert read_rows(tmp_path / "rows.jsonl", read_columns(mapping)).rows


# Copies and previews


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_fix_maps_and_unpacks(tmp_path: Path, name: str) -> None:
    content = b"Frage;Antwort\r\na;b\r\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    done = fix(tmp_path / name, {"frage": "prompt", "antwort": "completion"})
    assert (done.path.name, done.kept) == ("rows.fixed.jsonl", 1)


def test_first_row_is_found_below_header(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("prompt,completion\na,b\n")
    row = read_row(tmp_path / "rows.csv", None)
    assert row is not None
    assert row.line == 2
