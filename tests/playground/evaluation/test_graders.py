"""Graders: what each gives an answer, and what is wrong with a grader said before anything runs."""

import time

import pytest

from playground.errors import InvalidRequest
from playground.evaluation.grader_forms import read_graders
from playground.evaluation.graders import Grade, Graded, grade
from playground.evaluation.metrics import Prediction
from playground.protocol import ToolCall
from playground.protocol.json_types import Json

CALL = ToolCall("a", "find", '{"city": "Rome", "days": 2}')
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def graded(body: dict[str, Json], text: str, *calls: ToolCall, **facts: float) -> Grade:
    (grader,) = read_graders([body], python=True)
    answer = Graded(Prediction(text, calls), {"expected": "Paris"}, (CALL,), **facts)
    return grade(grader.filled(lambda value: value.replace("{{ expected }}", "Paris")), answer)


@pytest.mark.parametrize(
    ("body", "right", "wrong"),
    [
        ({"type": "exact"}, "Paris ", "paris"),
        ({"type": "exact", "ignore_case": True}, "PARIS", "Rome"),
        ({"type": "exact", "normalize": True}, "The Paris!", "Paris, France"),
        ({"type": "contains"}, "It is Paris.", "It is Rome."),
        ({"type": "contains", "value": ["a", "b"]}, "b a", "a"),
        ({"type": "contains", "value": ["a", "b"], "any": True}, "a", "c"),
        ({"type": "contains", "negate": True}, "Rome", "Paris"),
        ({"type": "starts_with"}, "Paris it is", "It is Paris"),
        ({"type": "regex", "pattern": r"^\p{Lu}\w+$"}, "Paris", "paris"),
        ({"type": "json_schema", "schema": SCHEMA}, '{"a": 1}', '{"a": "1"}'),
        ({"type": "json_schema", "anywhere": True}, 'So: {"a": [1]}.', "So: {a}"),
        ({"type": "json", "value": '{"a": 1, "b": 2}'}, '{"b": 2, "a": 1}', '{"a": 1}'),
        ({"type": "field", "field": "c.0.n"}, '{"c": [{"n": "Paris"}]}', '{"c": []}'),
        ({"type": "field", "field": "n", "value": "2"}, '{"n": 2}', '{"n": 3}'),
        ({"type": "number", "value": "3.14", "tolerance": 0.01}, "about 3.145", "about 3.2"),
        ({"type": "number", "value": "1,000", "relative": 0.1}, "1,050 in all", "none"),
        ({"type": "similarity", "threshold": 0.5}, "Paris", "Rome"),
        ({"type": "python", "expression": "len(output) < 6"}, "Paris", "It is Paris."),
    ],
)
def test_grader_tells_right_from_wrong(body: dict[str, Json], right: str, wrong: str) -> None:
    assert (graded(body, right).score, graded(body, wrong).score) == (1.0, 0.0)


def test_tool_calls_compare_arguments() -> None:
    same = ToolCall("b", "find", '{"days": 2, "city": "Rome"}')
    other = ToolCall("b", "find", '{"days": 3, "city": "Rome"}')
    assert graded({"type": "tool_call"}, "", same).score == 1
    assert graded({"type": "tool_call"}, "", other).score == 0


@pytest.mark.parametrize(("metric", "score"), [("f1", 0.5), ("cosine", 0.5), ("ratio", 5 / 6)])
def test_similarity_measures_shared_words(metric: str, score: float) -> None:
    body: dict[str, Json] = {"type": "similarity", "metric": metric, "value": "red car"}
    found = graded(body, "red bar" if metric == "ratio" else "red bus").score
    assert found == pytest.approx(score, abs=0.03)


def test_limits_of_time_and_cost() -> None:
    assert graded({"type": "latency", "max_ms": 5}, "", latency_ms=4).score == 1
    assert graded({"type": "cost", "max_usd": 0.1}, "", cost_usd=0.2).score == 0


def test_endless_pattern_ends() -> None:
    began = time.monotonic()
    found = graded({"type": "regex", "pattern": "^(a|aa)+$"}, "a" * 60 + "!")
    assert time.monotonic() - began < 5
    assert found == Grade(0.0, "the pattern took too long")


def test_failing_expression_is_a_reason() -> None:
    found = graded({"type": "python", "expression": "1 / 0"}, "x")
    assert (found.score, "ZeroDivisionError" in found.reason) == (0.0, True)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"type": "regex", "pattern": "("},
            r"graders\[0\].pattern: '\(' does not compile: missing",
        ),
        ({"type": "near"}, r"graders\[0\].type: 'near' is none of exact"),
        ({"type": "exact", "vlaue": "x"}, r"graders\[0\].vlaue: exact has no such parameter"),
        ({"type": "number", "tolerance": "much"}, "tolerance: must be a number"),
        ({"type": "field"}, "field: field needs it"),
        ({"type": "similarity", "metric": "bleu"}, "'bleu' is none of f1, cosine, ratio"),
        ({"type": "json_schema", "schema": {"type": "text"}}, "schema: "),
        ({"type": "exact", "threshold": 2}, "2 is no number from 0 to 1"),
        ({"type": "python", "expression": "True"}, "command line and the settings only"),
        ({"type": "python", "use": "short"}, "the settings name no expression 'short'"),
        (3, "must be an object with a type"),
    ],
)
def test_wrong_grader_is_named(body: Json, error: str) -> None:
    with pytest.raises(InvalidRequest, match=error):
        read_graders([body])


def test_settings_name_expressions() -> None:
    (grader,) = read_graders([{"type": "python", "use": "short"}], expressions={"short": "1"})
    assert grader.params["expression"] == "1"


def test_grader_names_are_unique() -> None:
    graders = read_graders(["exact", "exact"], taken=["exact"])
    assert [grader.name for grader in graders] == ["exact 2", "exact 3"]


def test_graders_survive_writing() -> None:
    graders = read_graders(
        [{"type": "number", "tolerance": 1, "weight": 2, "negate": True}, "json"]
    )
    assert read_graders([grader.as_json() for grader in graders]) == graders
