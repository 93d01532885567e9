"""Own rows with other values still say what their calls have."""

import json
import random
from pathlib import Path

import pytest

import recipes.smollm2
from recipes.smollm2.drawer import Drawer, Row
from recipes.smollm2.rows import lines_of
from recipes.smollm2.twelfth import MORE, request_rows, text_rows, varied
from recipes.smollm2.variation import Variation, values_by_name

OWN = Path(recipes.smollm2.__file__).parent / "own"
REQUESTS, CHOICES, TEXTS = (
    lines_of(OWN / f"{name}.jsonl") + lines_of(OWN / MORE / f"{name}.jsonl")
    for name in ("tools", "choice", "extraction")
)
VALUES = values_by_name(pair for row in REQUESTS for pair in row["arguments"].items())


def variation(seed: int = 0) -> Variation:
    return Variation(random.Random(seed), VALUES)


def test_another_value_replaces_it_in_both() -> None:
    schema = {"properties": {"city": {"type": "string"}, "nights": {"type": "integer"}}}
    given = {"city": "Oslo", "nights": 12}
    made = [variation(seed).row("Oslo, 12 nights", given, schema) for seed in range(20)]
    assert all(text == f"{values['city']}, {values['nights']} nights" for text, values in made)
    assert len({values["city"] for _, values in made}) > 3


@pytest.mark.parametrize(
    ("text", "given", "schema"),
    [
        ("Oslo to Oslo", {"city": "Oslo"}, {"type": "string"}),
        ("at 12:12 for 12", {"guests": 12}, {"type": "integer"}),
        ("level -2", {"level": 2}, {"type": "integer"}),
        ("make it loud", {"volume": "loud"}, {"type": "string", "enum": ["loud", "low"]}),
        ("yes", {"is_open": True}, {"type": "boolean"}),
        ("a dozen", {"count": 12}, {"type": "integer"}),
    ],
)
def test_what_stands_twice_or_hidden_stays(text: str, given: Row, schema: Row) -> None:
    properties = {"properties": dict.fromkeys(given, schema)}
    for seed in range(20):
        assert variation(seed).row(text, given, properties) == (text, given)


def test_varied_rows_keep_their_schema() -> None:
    requests, _, texts = varied(variation(), REQUESTS, CHOICES, TEXTS)
    assert sum(a != b for a, b in zip(requests, REQUESTS, strict=True)) > len(REQUESTS) / 4
    for before, after in zip(REQUESTS, requests, strict=True):
        assert before["arguments"].keys() == after["arguments"].keys()
        for name, value in after["arguments"].items():
            assert type(value) is type(before["arguments"][name])
            assert value == before["arguments"][name] or str(value) in after["text"]
    for before, after in zip(TEXTS, texts, strict=True):
        for name, value in after["output"].items():
            assert value == before["output"][name] or str(value) in after["text"]
        assert before["text"] not in after["instruction"] or before["text"] == after["text"]


def test_each_request_is_asked_once() -> None:
    rows = list(request_rows(Drawer(0, ()), random.Random(0), REQUESTS))
    called = [
        each["content"]
        for row in rows
        for each, answer in zip(row["messages"], row["messages"][1:], strict=False)
        if each["role"] == "user" and answer.get("tool_calls")
    ]
    assert sorted(called) == sorted(row["text"] for row in REQUESTS)


def test_forms_have_what_is_asked() -> None:
    labels = [f"label{number}" for number in range(20)]
    values = [f"value {number}" for number in range(20)]
    for seed in range(50):
        text, given, schema = variation(seed).form(labels, values)
        assert list(given) == schema["required"] == list(schema["properties"])
        for label, value in given.items():
            assert label in text
            assert value in text


def test_every_text_is_read() -> None:
    rows = list(text_rows(Drawer(0, ()), random.Random(0), TEXTS, REQUESTS))
    shown = "\n".join(
        each["content"] for row in rows for each in row["messages"] if each["role"] == "user"
    )
    for row in TEXTS:
        assert shown.count(row["text"]) >= 1


def test_no_held_out_row_is_trained() -> None:
    held_out = OWN / MORE / "held_out"
    for name in ("tools", "choice", "extraction"):
        kept = {json.dumps(row) for row in lines_of(held_out / f"{name}.jsonl")}
        trained = lines_of(OWN / f"{name}.jsonl") + lines_of(OWN / MORE / f"{name}.jsonl")
        assert kept
        assert not kept & {json.dumps(row) for row in trained}


def test_held_out_functions_are_not_trained() -> None:
    held_out = lines_of(OWN / MORE / "held_out" / "tools.jsonl")
    trained = {plain(row["function"]["name"]) for row in REQUESTS}
    trained |= {plain(each["name"]) for row in CHOICES for each in row["functions"]}
    assert not trained & {plain(row["function"]["name"]) for row in held_out}


def plain(name: str) -> str:
    return name.casefold().replace("_", "")
