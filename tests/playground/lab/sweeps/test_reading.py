"""A sweep as it is written: rows, prompts and settings, and errors that name their place."""

from pathlib import Path

import pytest

from playground.errors import InvalidRequest
from playground.lab.sweeps.prompting import messages_for
from playground.lab.sweeps.reading import Sources, read_settings, read_sweep
from playground.lab.sweeps.rows import read_row, rows_of_file, rows_of_text
from playground.protocol import Message
from playground.protocol.json_types import Json, JsonObject

ROWS: list[Json] = [{"city": "Rome", "expected": "Italy"}, {"city": "Lima", "expected": "Peru"}]


def body(**changes: Json) -> JsonObject:
    whole: JsonObject = {
        "prompts": ["{{ city }}"],
        "models": ["m"],
        "rows": ROWS,
        "graders": ["exact"],
    }
    return whole | changes


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a": 1}\n\n{"a": }', "rows: line 3, column 7: not JSON"),
        ('[{"a": 1},\n {"a": 2,]', "rows: line 2, column 10: not JSON"),
        ("[1]", "line 1, column 1: a row is a JSON object"),
        ("a,b\n1,2\n3", "line 3, column 2: 1 cells under 2 headings"),
        ("a,a\n1,2", "line 1, column 2: the heading 'a' stands there twice"),
        ('a,b\n"1,2', "line 2, column 1: no CSV"),
        ("", "there are none"),
    ],
)
def test_broken_row_names_its_place(text: str, error: str) -> None:
    with pytest.raises(InvalidRequest, match=error):
        rows_of_text(text)


def test_file_with_wrong_bytes_names_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,\xff\n")
    with pytest.raises(InvalidRequest, match="line 2, column 3: not UTF-8"):
        rows_of_file(path)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.tsv"])
def test_file_kinds_give_same_rows(tmp_path: Path, name: str) -> None:
    texts = {
        "rows.jsonl": '{"a": "1", "b": "x, y"}\n',
        "rows.json": '[{"a": "1", "b": "x, y"}]',
        "rows.csv": 'a,b\n1,"x, y"\n',
        "rows.tsv": "a\tb\n1\tx, y\n",
    }
    (tmp_path / name).write_text(texts[name])
    assert [row for _, row in rows_of_file(tmp_path / name)] == [{"a": "1", "b": "x, y"}]


@pytest.mark.parametrize(
    "source",
    [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]},
        {"prompt": "Hi", "completion": "Yo"},
        {"messages": [{"role": "user", "content": "Hi"}], "expected": "Yo"},
        {"item": {"messages": [{"role": "user", "content": "Hi"}], "ideal": "Yo"}},
    ],
)
def test_rows_hold_conversations(source: JsonObject) -> None:
    row = read_row(1, source)
    assert (row.messages, row.expected) == ((Message("user", "Hi"),), "Yo")


def test_settings_lists_are_combined() -> None:
    assert read_settings({"temperature": [0, 1], "max_tokens": 8}) == (
        {"temperature": 0, "max_tokens": 8},
        {"temperature": 1, "max_tokens": 8},
    )


def test_cells_are_named_by_differences() -> None:
    sweep = read_sweep(body(settings={"temperature": [0, 1], "seed": 3}), Sources())
    assert sweep.labels == ("temperature 0", "temperature 1")


def test_sweep_survives_writing() -> None:
    written = body(
        prompts=[
            {"name": "a", "system": "{{ city }}", "schema": {"type": "object"}},
            "{{ city }}!",
        ],
        rows=[{"city": "Rome", "input": "x", "expected": "y", "graders": ["json"]}],
        price={"input": 1, "output": 2},
    )
    sweep = read_sweep(written, Sources())
    assert read_sweep(sweep.as_json(), Sources()) == sweep


def test_system_prompt_precedes_conversation() -> None:
    prompts: list[Json] = [{"name": "a", "system": "Be brief."}]
    rows: list[Json] = [
        {"messages": [{"role": "system", "content": "Old"}, {"role": "user", "content": "Hi"}]}
    ]
    sweep = read_sweep(body(prompts=prompts, rows=rows, graders=["json_schema"]), Sources())
    messages = messages_for(sweep.prompts[0], sweep.rows[0])
    assert messages == (Message("system", "Be brief."), Message("user", "Hi"))


def test_template_may_ask_for_variables() -> None:
    sweep = read_sweep(body(prompts=["{{ city }}{% if town is defined %}!{% endif %}"]), Sources())
    assert messages_for(sweep.prompts[0], sweep.rows[0])[0].content == "Rome"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompts": ["{{ town }}"]}, "rows: row 1 has no 'town', which prompt 'prompt 1' uses"),
        ({"rows": [ROWS[0], {"expected": "x"}]}, "row 2 has no 'city', which prompt 'prompt 1'"),
        ({"rows": [{"city": "x"}]}, "row 1 has no 'expected', which grader 'exact' uses"),
        ({"prompts": ["{{ city"]}, r"prompts\[0\].messages\[0\].content: line 1"),
        ({"prompts": ["greeting@2"]}, r"prompts\[0\].prompt: no prompts are kept here"),
        ({"models": []}, "models: name at least one"),
        ({"settings": {"temperature": 9}}, "settings.temperature: 9 is not between"),
        ({"settings": {"heat": 1}}, "settings.heat: is none of temperature"),
        ({"settings": {"seed": list(range(65))}}, "65 cells; 64 at most"),
        ({"rows": [{"messages": [{"role": "x"}]}]}, r"rows: line 1: messages\[0\].messages.role"),
        ({"rows": "rows.csv"}, "files are not read here"),
        ({"graders": []}, "graders: give at least one"),
        ({"price": -1}, "price.input: -1 is no price"),
        ({"promts": []}, "promts: a sweep has no such field"),
    ],
)
def test_wrong_sweep_names_field(changes: JsonObject, error: str) -> None:
    with pytest.raises(InvalidRequest, match=error):
        read_sweep(body(**changes), Sources())
