"""The JSON tab's handlers: schemas, one answer, a batch, without a browser."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import gradio as gr
import pytest

from playground.errors import InvalidRequest
from playground.lab.extraction import INSTRUCTION
from playground.protocol import Request
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.examples import JsonExample, examples_for
from playground.ui.json.events import AnswerUpdate, JsonForm, JsonHandlers
from tests.playground.ui.helpers import changed, drain, drain_failing, page_request, scripted

EXAMPLES = {example.title: example for example in examples_for("embedded").json}
PERSON = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
ENDINGS = ("ra", "na", "ta", "la", "ma")


def form(schema: str = PERSON, model: str = "scripted") -> JsonForm:
    return {
        "model": model,
        "schema": schema,
        "instruction": "Extract. {schema}",
        "temperature": 0.0,
        "max_tokens": 256.0,
    }


def handlers(answering: Answering, *examples: JsonExample) -> JsonHandlers:
    return JsonHandlers(answering, examples, needs_key=False)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"type": "object"}', "strictly"),
        ('{"type": "string", "format": "x-own"}', "checked when"),
        ('{"type": "strin"}', "/type"),
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
    ],
)
async def test_a_schema_is_checked_as_it_is_typed(schema: str, said: str) -> None:
    update = await handlers(scripted(lambda request: [])).check(schema, None)
    assert said in str(update.verdict)
    assert update.schema is UNCHANGED


def test_a_schema_is_made_from_an_example_value() -> None:
    tab = handlers(scripted(lambda request: []))
    update = tab.make_schema('{"brand": "x", "wheels": 4}')
    assert set(json.loads(str(update.schema))["properties"]) == {"brand", "wheels"}
    with pytest.raises(InvalidRequest):
        tab.make_schema("")


def test_an_example_fills_in_text_and_schema() -> None:
    example = EXAMPLES["An order"]
    update = handlers(scripted(lambda request: []), example).choose_example(0)
    assert update.text == example.text
    assert json.loads(str(update.schema)) == example.schema


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("An order", ["lamp", "3", "24.5"]),
        ("A person", ["Clara", "Vienna", "clara@example.org"]),
        ("A meeting", ["budget", "2026-12-03", "14:30"]),
    ],
)
async def test_an_example_is_extracted_field_by_field(
    answering: Answering, title: str, values: list[str]
) -> None:
    example = EXAMPLES[title]
    asked = form(json.dumps(example.schema), "embedded")
    asked["instruction"] = INSTRUCTION
    updates = await drain(handlers(answering).extract(example.text, "", **asked))
    last = updates[-1]
    assert "Strict" in str(last.badge)
    for value in values:
        assert value in str(last.fields)
    assert str(last.fields).count("✓") == len(values)
    assert json.loads(str(last.raw)) == last.tree


async def test_an_answer_is_streamed_and_shown_in_all_views() -> None:
    tab = handlers(scripted(lambda request: ['{"n"', ": 3}"]))
    first, *pieces, last = await drain(tab.extract("three", "", **form()))
    assert (first.raw, first.tree, changed(first.stop).visible) == ("", None, True)
    assert first.running
    assert pieces == [AnswerUpdate(raw='{"n"'), AnswerUpdate(raw='{"n": 3}')]
    assert last.tree == {"n": 3}
    assert last.table == {"headers": ["n"], "data": [["3"]]}
    assert "integer" in str(last.fields)
    assert (last.running, changed(last.extract).visible, changed(last.stop).visible) == (
        "",
        True,
        False,
    )


@pytest.mark.parametrize(("kind", "text"), [("string", '"Oslo"'), ("integer", "1")])
async def test_a_value_that_is_no_object_is_shown(kind: str, text: str) -> None:
    """The view of a value takes a text for JSON, and warns of a number."""
    tab = handlers(scripted(lambda request: [text]))
    *_, last = await drain(tab.extract("Oslo", "", **form(json.dumps({"type": kind}))))
    shown = gr.JSON().postprocess(last.tree)
    assert shown is not None
    assert shown.root == json.loads(text)


async def test_a_stopped_answer_says_so_and_has_no_value() -> None:
    tab = handlers(scripted(lambda request: iter(['{"n"', ":", " ", "3", "}"])))

    ids: list[str] = []

    def stop(update: AnswerUpdate) -> None:
        if isinstance(update.running, str):
            ids.append(update.running)
        else:
            tab.stop(ids[0])

    updates = await drain(tab.extract("three", "", **form()), stop)
    assert "Stopped by you" in str(updates[-1].badge)
    assert (updates[-1].tree, updates[-1].fields) == (None, "")


async def test_an_answer_that_breaks_its_schema_is_asked_for_again() -> None:
    answers = iter(['{"n": "three"}', '{"n": 3}'])
    tab = handlers(scripted(lambda request: [next(answers)]))
    last = (await drain(tab.extract("three", "", **form())))[-1]
    assert last.tree == {"n": 3}
    assert "Checked" in str(last.badge)


async def test_nothing_is_extracted_twice_at_once() -> None:
    tab = handlers(scripted(lambda request: ["{}"]))
    assert await drain(tab.extract("three", "an-id", **form())) == []


@pytest.mark.parametrize(("text", "schema"), [("", PERSON), ("three", "{")])
async def test_a_bad_form_is_refused_before_anything_runs(text: str, schema: str) -> None:
    tab = handlers(scripted(lambda request: ["{}"]))
    updates, error = await drain_failing(tab.extract(text, "", **form(schema)))
    assert updates == []
    assert isinstance(error, InvalidRequest)
    assert tab.reset_inputs().extract.visible is True


async def test_twenty_texts_of_a_file_are_extracted_into_files(tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.write_text("text\n" + "".join(f"number {number}\n" for number in range(20)))

    def reads(request: Request) -> Iterable[str]:
        return [json.dumps({"n": int(request.messages[-1].content.split()[-1])})]

    updates = await drain(handlers(scripted(reads)).extract_all(str(source), None, None, **form()))
    assert len(updates) == 21
    first, last = updates[0], updates[-1]
    assert (first.extract_all.visible, first.stop_all.visible, first.jsonl) == (
        False,
        True,
        UNCHANGED,
    )
    assert "20 of 20 texts" in str(last.progress)
    assert (last.extract_all.visible, last.stop_all.visible) == (True, False)
    lines = Path(changed(last.jsonl).value["path"]).read_text().splitlines()
    assert sorted(json.loads(line)["value"]["n"] for line in lines) == list(range(20))
    with Path(changed(last.csv).value["path"]).open() as file:
        assert len(list(csv.DictReader(file))) == 20


@pytest.mark.slow
async def test_the_model_reads_most_of_twenty_texts(answering: Answering, tmp_path: Path) -> None:
    names = [f"{head}{tail}" for head in ("An", "Be", "Cla", "Do") for tail in ENDINGS]
    source = tmp_path / "people.csv"
    source.write_text(
        "text\n" + "".join(f"Name: {name}; City: Oslo; Email: a@b.org\n" for name in names)
    )
    wanted = form(json.dumps(EXAMPLES["A person"].schema), "embedded")
    wanted["instruction"] = INSTRUCTION
    last = (await drain(handlers(answering).extract_all(str(source), None, None, **wanted)))[-1]
    assert "20 of 20 texts" in str(last.progress)
    lines = Path(changed(last.jsonl).value["path"]).read_text().splitlines()
    read = [json.loads(line)["value"]["name"] for line in lines]
    assert sum(value == name for value, name in zip(read, names, strict=True)) >= 15


async def test_a_batch_without_texts_is_refused() -> None:
    tab = handlers(scripted(lambda request: ["{}"]))
    _, error = await drain_failing(tab.extract_all(None, None, " \n", **form()))
    assert "one text per line" in str(error)
    assert tab.reset_batch().extract_all.visible is True


def test_the_request_is_shown_as_code() -> None:
    update = handlers(scripted(lambda request: [])).code(page_request(), "three", **form())
    assert "response_format=" in str(update.python)
    assert "json_schema" in str(update.curl)
