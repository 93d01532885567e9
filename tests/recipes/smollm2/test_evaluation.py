"""How answers are scored; no model is asked."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from playground.protocol import Answer, Timings, ToolCall, Usage
from recipes.smollm2 import rows as recipe
from recipes.smollm2.cases import is_refusal, own_choices, own_tools, plain_chat
from recipes.smollm2.drawer import REFUSALS
from recipes.smollm2.evaluation import line_of, with_calls
from recipes.smollm2.rows import lines_of

HELD_OUT = Path(recipe.__file__).parent / "own" / "held_out"
EMPTY = Answer("", "stop", Usage(0, 0, 0), Timings(0.0, 0.0, 0.0))


def test_every_trained_refusal_is_one() -> None:
    assert all(map(is_refusal, REFUSALS))


def test_answers_about_functions_are_no_refusals() -> None:
    assert not is_refusal("A function call lets the function run; my tools are a saw and a hammer.")


def test_base_answers_are_no_refusals() -> None:
    answered, alike = plain_chat(HELD_OUT / "plain_chat.jsonl")
    for row, first, second in zip(
        lines_of(HELD_OUT / "plain_chat.jsonl"), answered, alike, strict=True
    ):
        given = replace(EMPTY, text=row["messages"][1]["content"])
        assert first.score(given) == second.score(given) == 1.0


def test_refused_plain_question_scores_nothing() -> None:
    answered, alike = plain_chat(HELD_OUT / "plain_chat.jsonl")
    refused = replace(EMPTY, text=REFUSALS[2])
    assert answered[0].score(refused) == 0.0
    assert alike[0].score(refused) < 0.3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            '<tool_call>\n{"name": "go", "arguments": {"to": {"city": "Oslo"}}}\n</tool_call>',
            ["go"],
        ),
        ('<tool_call>{"name": "go", "arguments": {"to": </tool_call>', []),
        ('<tool_call>{"name": "go"}</tool_call>', []),
        ('<tool_call>{"name": "go", "arguments": 3}</tool_call>', []),
        ("I have no function for that.", []),
    ],
)
def test_calls_are_read_from_text(text: str, names: list[str]) -> None:
    assert [call.name for call in with_calls(replace(EMPTY, text=text)).calls] == names


def test_all_arguments_must_be_right() -> None:
    names, whole = own_tools(HELD_OUT / "tools.jsonl", random.Random(0), 5)
    wanted = {row["text"]: row for row in lines_of(HELD_OUT / "tools.jsonl")}
    for named, all_right in zip(names, whole, strict=True):
        row = wanted[named.request.messages[-1].content]
        right = ToolCall("", row["function"]["name"], json.dumps(row["arguments"]))
        more = json.dumps({**row["arguments"], "extra": 1})
        assert all_right.score(replace(EMPTY, calls=(right,))) == 1.0
        given = replace(EMPTY, calls=(replace(right, arguments=more),))
        assert (named.score(given), all_right.score(given)) == (1.0, 0.0)


def test_a_choice_is_a_name_or_words() -> None:
    rows = {row["text"]: row["call"] for row in lines_of(HELD_OUT / "choice.jsonl")}
    words = replace(EMPTY, text="My tools cannot do that.")
    for case in own_choices(HELD_OUT / "choice.jsonl", random.Random(0), len(rows)):
        made = rows[case.request.messages[-1].content]
        called = replace(EMPTY, calls=(ToolCall("", made["name"] if made else "any", "{}"),))
        assert (case.score(called), case.score(words)) == ((1.0, 0.0) if made else (0.0, 1.0))


def test_seeds_are_columns_of_the_line() -> None:
    line = line_of("service, name", [0.5, 0.75, 1.0], [40, 40, 40])
    assert line.split()[-6:] == ["75%", "100%", "mean", "75%", "of", "40"]
