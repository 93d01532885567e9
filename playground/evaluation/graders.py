"""Graders: what an answer is measured by, as people write it in a sweep.

A `Grader` is data. `grade` applies one that needs no model to an answer; those in `MODEL_GRADERS`
ask a judge (`playground.evaluation.judge`), which whoever has a backend does. Knows no file, no
template, no page and no HTTP.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from playground.evaluation.expressions import evaluate_expression
from playground.evaluation.metrics import (
    Prediction,
    character_ratio,
    f1,
    last_number,
    normalize,
    parsed_json,
    regex_found,
    same_calls,
    word_cosine,
)
from playground.protocol import ToolCall
from playground.protocol.json_types import Json, JsonObject
from playground.structured.patterns import matching_problem
from playground.structured.validation import first_error

EXPECTED: Final = "{{ expected }}"
"""What answers are compared with, if nothing else is said: the row's field of this name."""
TEXTS: Final = ("value", "pattern", "rubric")
"""Parameters that may have variables of the row in them."""
SIMILARITIES: Final[Mapping[str, Callable[[str, str], float]]] = MappingProxyType(
    {"f1": f1, "cosine": word_cosine, "ratio": character_ratio}
)


@dataclass(frozen=True, slots=True)
class Grader:
    """A grader with its parameters, which `playground.evaluation.grader_forms` has checked.

    The score is from 0 to 1. With a ``threshold`` it is 1 from there on and else 0; ``negate``
    turns it around. ``weight`` is its share of an answer's score.
    """

    type: str
    name: str
    params: Mapping[str, Json] = field(default_factory=dict)
    weight: float = 1.0
    threshold: float | None = None
    negate: bool = False

    @property
    def asks_model(self) -> bool:
        """Whether a judge decides."""
        return self.type in MODEL_GRADERS

    def texts(self) -> list[str]:
        """Return the texts of its parameters that may have variables in them."""
        return [text for name in TEXTS if name in self.params for text in _texts(self.params[name])]

    def filled(self, fill: Callable[[str], str]) -> "Grader":
        """Return it for one row: ``fill`` replaces variables in a text."""
        params: JsonObject = dict(self.params)
        for name in TEXTS:
            value = params.get(name)
            if isinstance(value, str):
                params[name] = fill(value)
            elif isinstance(value, list):
                params[name] = [fill(str(text)) for text in value]
        return replace(self, params=params)

    def finish(self, score: float) -> float:
        """Apply ``threshold`` and ``negate``."""
        if self.threshold is not None:
            score = float(score >= self.threshold)
        return 1.0 - score if self.negate else score

    def as_json(self) -> JsonObject:
        """Return it as it is written in a file."""
        body: JsonObject = {"type": self.type, "name": self.name, **self.params}
        if self.weight != 1.0:
            body["weight"] = self.weight
        if self.threshold is not None:
            body["threshold"] = self.threshold
        return body | ({"negate": True} if self.negate else {})


@dataclass(frozen=True, slots=True)
class Graded:
    """An answer to grade. ``variables`` are the row's fields; ``expected`` is among them where the
    row has one. ``expected_calls`` are the tool calls that are wanted."""

    prediction: Prediction
    variables: Mapping[str, object]
    expected_calls: tuple[ToolCall, ...] = ()
    latency_ms: float = 0.0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Grade:
    """A score from 0 to 1; ``reason`` says why it is not 1, where that is not plain to see."""

    score: float
    reason: str = ""


Check = Callable[[Mapping[str, Json], Graded], Grade]


def grade(grader: Grader, graded: Graded) -> Grade:
    """Grade an answer by a grader that is filled in. One that cannot be graded has the score 0 and
    the reason, ``negate`` or not.

    Takes half a second at most, but for a Python expression of the administrator's.
    """
    check = CHECKS[grader.type]
    try:
        found = check(grader.params, graded)
    except TimeoutError:
        return Grade(0.0, "the pattern took too long")
    except ValueError as error:
        return Grade(0.0, str(error))
    if not math.isfinite(found.score):
        return Grade(0.0, f"the score {found.score} is no number from 0 to 1")
    return Grade(grader.finish(min(max(found.score, 0.0), 1.0)), found.reason)


def _texts(value: Json) -> list[str]:
    return [str(text) for text in (value if isinstance(value, list) else [value])]


def _pass(passed: bool, reason: str = "") -> Grade:
    return Grade(float(passed), "" if passed else reason)


def _exact(params: Mapping[str, Json], graded: Graded) -> Grade:
    answer, wanted = graded.prediction.text.strip(), str(params["value"]).strip()
    if params.get("normalize"):
        answer, wanted = normalize(answer), normalize(wanted)
    elif params.get("ignore_case"):
        answer, wanted = answer.casefold(), wanted.casefold()
    return _pass(answer == wanted)


def _contains(params: Mapping[str, Json], graded: Graded) -> Grade:
    answer, texts = graded.prediction.text, _texts(params["value"])
    if params.get("ignore_case"):
        answer, texts = answer.casefold(), [text.casefold() for text in texts]
    missing = [text for text in texts if text not in answer]
    if params.get("any"):
        return _pass(len(missing) < len(texts), "none of them is in it")
    return _pass(not missing, f"without {missing[0]!r}" if missing else "")


def _starts_with(params: Mapping[str, Json], graded: Graded) -> Grade:
    answer, wanted = graded.prediction.text.lstrip(), str(params["value"])
    if params.get("ignore_case"):
        answer, wanted = answer.casefold(), wanted.casefold()
    return _pass(answer.startswith(wanted))


def _regex(params: Mapping[str, Json], graded: Graded) -> Grade:
    pattern = str(params["pattern"])
    if problem := matching_problem(pattern):
        return Grade(0.0, f"the pattern does not compile: {problem}")
    return _pass(regex_found(pattern, graded.prediction.text))


def _json_schema(params: Mapping[str, Json], graded: Graded) -> Grade:
    text = graded.prediction.text.strip()
    value = parsed_json(text)
    if value is None and text != "null":
        value = first_json_in(text) if params.get("anywhere") else None
        if value is None:
            return Grade(0.0, "not JSON")
    schema = params.get("schema")
    problem = first_error(schema, value) if isinstance(schema, dict) else ""
    return _pass(not problem, problem)


def _same_json(params: Mapping[str, Json], graded: Graded) -> Grade:
    wanted = parsed_json(str(params["value"]))
    return _pass(parsed_json(graded.prediction.text.strip()) == wanted)


def _field(params: Mapping[str, Json], graded: Graded) -> Grade:
    path = str(params["field"])
    value: object = parsed_json(graded.prediction.text.strip())
    if value is None:
        return Grade(0.0, "not JSON")
    for step in path.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return Grade(0.0, f"there is no {path}")
    wanted = str(params["value"])
    wanted_json = parsed_json(wanted)
    same = value == wanted or (wanted_json is not None and value == wanted_json)
    return _pass(same, f"{path} is {value!r}"[:200])


def _tool_call(params: Mapping[str, Json], graded: Graded) -> Grade:
    calls = params.get("calls")
    wanted = calls_of(calls) if isinstance(calls, list) else graded.expected_calls
    names = ", ".join(call.name for call in graded.prediction.calls) or "no function"
    return _pass(same_calls(graded.prediction.calls, wanted), f"called {names}")


def _number(params: Mapping[str, Json], graded: Graded) -> Grade:
    wanted = last_number(str(params["value"]))
    if wanted is None:
        return Grade(0.0, "there is no number to compare with")
    found = last_number(graded.prediction.text)
    if found is None:
        return Grade(0.0, "there is no number in it")
    absolute = float(str(params.get("tolerance", 0.0)))
    relative = float(str(params.get("relative", 0.0)))
    close = math.isclose(found, wanted, rel_tol=relative, abs_tol=absolute)
    return _pass(close, f"{found:g} instead of {wanted:g}")


def _similarity(params: Mapping[str, Json], graded: Graded) -> Grade:
    measure = SIMILARITIES[str(params.get("metric", "f1"))]
    return Grade(measure(graded.prediction.text, str(params["value"])))


def _latency(params: Mapping[str, Json], graded: Graded) -> Grade:
    return _pass(graded.latency_ms <= float(str(params["max_ms"])), f"{graded.latency_ms:.0f} ms")


def _cost(params: Mapping[str, Json], graded: Graded) -> Grade:
    return _pass(graded.cost_usd <= float(str(params["max_usd"])), f"{graded.cost_usd:.6f} USD")


def _python(params: Mapping[str, Json], graded: Graded) -> Grade:
    names = {
        "output": graded.prediction.text,
        "calls": [call.to_openai()["function"] for call in graded.prediction.calls],
        "expected": graded.variables.get("expected"),
        "row": dict(graded.variables),
    }
    return Grade(evaluate_expression(str(params["expression"]), names))


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "exact": _exact,
        "contains": _contains,
        "starts_with": _starts_with,
        "regex": _regex,
        "json_schema": _json_schema,
        "json": _same_json,
        "field": _field,
        "tool_call": _tool_call,
        "number": _number,
        "similarity": _similarity,
        "latency": _latency,
        "cost": _cost,
        "python": _python,
    }
)
MODEL_GRADERS: Final = ("judge", "rubric")
"""``judge``: is the answer better than another one, asked in both orders? ``rubric``: how well does
it meet a rubric?"""


def calls_of(value: list[Json]) -> tuple[ToolCall, ...]:
    """Read tool calls: OpenAI's, or ``{"name": …, "arguments": {…}}``. Raises `ValueError`."""
    calls = []
    for number, item in enumerate(value):
        function = item.get("function", item) if isinstance(item, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError(f"call {number + 1} has no function name")
        arguments = function.get("arguments", {})
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        calls.append(ToolCall(f"call{number}", str(function["name"]), text))
    return tuple(calls)


def first_json_in(text: str) -> object:
    """Return the first JSON object or list in a text; None if there is none."""
    decoder = json.JSONDecoder()
    starts = (at for at, character in enumerate(text) if character in "{[")
    for _, start in zip(range(1_000), starts, strict=False):
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        return value
    return None
