"""Graders as people write them, read and checked: ``{"type": "regex", "pattern": "^\\\\d+$"}``.

Each type's parameters are in one table. Knows no answer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from playground.errors import InvalidRequest
from playground.evaluation.expressions import expression_problem
from playground.evaluation.graders import EXPECTED, SIMILARITIES, Grader, calls_of
from playground.protocol.json_types import Json, JsonObject
from playground.structured.keywords import first_problem
from playground.structured.patterns import matching_problem

Form = Literal["text", "texts", "switch", "number", "object", "list"]
COMMON: Final = ("type", "name", "weight", "threshold", "negate")
NO_EXPRESSIONS: Final[Mapping[str, str]] = MappingProxyType({})
USE = "use"
"""Parameter of ``python``: the name of an expression of the administrator's settings."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a type of grader."""

    form: Form
    required: bool = False


_VALUE, _SWITCH = Parameter("text"), Parameter("switch")
PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = MappingProxyType(
    {
        "exact": {"value": _VALUE, "ignore_case": _SWITCH, "normalize": _SWITCH},
        "contains": {"value": Parameter("texts"), "ignore_case": _SWITCH, "any": _SWITCH},
        "starts_with": {"value": _VALUE, "ignore_case": _SWITCH},
        "regex": {"pattern": Parameter("text", required=True)},
        "json_schema": {"schema": Parameter("object"), "anywhere": _SWITCH},
        "json": {"value": _VALUE},
        "field": {"field": Parameter("text", required=True), "value": _VALUE},
        "tool_call": {"calls": Parameter("list")},
        "number": {
            "value": _VALUE, "tolerance": Parameter("number"), "relative": Parameter("number"),
        },
        "similarity": {"value": _VALUE, "metric": Parameter("text")},
        "latency": {"max_ms": Parameter("number", required=True)},
        "cost": {"max_usd": Parameter("number", required=True)},
        "python": {"expression": Parameter("text"), USE: Parameter("text")},
        "judge": {
            "rubric": Parameter("text", required=True), "model": Parameter("text"), "value": _VALUE,
        },
        "rubric": {"rubric": Parameter("text", required=True), "model": Parameter("text")},
    }
)  # fmt: skip
FORMS: Final[Mapping[Form, tuple[type | tuple[type, ...], str]]] = MappingProxyType(
    {
        "text": ((str, int, float), "a text"),
        "texts": ((str, int, float, list), "a text or a list of texts"),
        "switch": (bool, "true or false"),
        "number": ((int, float), "a number"),
        "object": (dict, "an object"),
        "list": (list, "a list"),
    }
)


def read_graders(
    values: Sequence[Json],
    where: str = "graders",
    *,
    python: bool = False,
    expressions: Mapping[str, str] = NO_EXPRESSIONS,
    taken: Collection[str] = (),
) -> tuple[Grader, ...]:
    """Read a list of graders. Python expressions are taken only with ``python``; by name, those of
    ``expressions`` always are. Names are made unique, beside those that are ``taken``.

    Raises `InvalidRequest` with the grader's place for whatever is wrong, such as a pattern that
    does not compile.
    """
    graders: list[Grader] = []
    for number, value in enumerate(values):
        grader = _read(value, f"{where}[{number}]", python, expressions)
        names = {*taken, *(other.name for other in graders)}
        name, again = grader.name, 2
        while name in names:
            name, again = f"{grader.name} {again}", again + 1
        graders.append(replace(grader, name=name))
    return tuple(graders)


def _read(value: Json, where: str, python: bool, expressions: Mapping[str, str]) -> Grader:
    body: JsonObject = {"type": value} if isinstance(value, str) else value  # type: ignore[assignment]
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise InvalidRequest(where, "must be an object with a type, or a type's name")
    kind = str(body["type"])
    known = PARAMETERS.get(kind)
    if known is None:
        raise InvalidRequest(f"{where}.type", f"{kind!r} is none of {', '.join(PARAMETERS)}")
    params = {key: item for key, item in body.items() if key not in COMMON}
    for key, item in params.items():
        if key not in known:
            takes = ", ".join((*known, *COMMON[1:]))
            raise InvalidRequest(f"{where}.{key}", f"{kind} has no such parameter; it has {takes}")
        _check_form(item, known[key].form, f"{where}.{key}")
    missing = [key for key, parameter in known.items() if parameter.required and key not in params]
    if missing:
        raise InvalidRequest(f"{where}.{missing[0]}", f"{kind} needs it")
    if kind == "python":
        params = _python_params(params, where, python, expressions)
    if "value" in known and kind != "judge":
        params.setdefault("value", EXPECTED)
    _check_params(kind, params, where)
    return Grader(
        kind,
        str(body.get("name") or _name(kind, params)),
        params,
        _share(body.get("weight", 1.0), f"{where}.weight", 0.0, 1_000.0),
        None
        if body.get("threshold") is None
        else _share(body["threshold"], f"{where}.threshold", 0.0, 1.0),
        bool(body.get("negate", False)),
    )


def _name(kind: str, params: JsonObject) -> str:
    named = params.get("field") or params.get("metric") or params.get(USE)
    return f"{kind} {named}" if named else kind.replace("_", " ")


def _share(value: Json, where: str, low: float, high: float) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= float(value) <= high:  # type: ignore[arg-type]
        raise InvalidRequest(where, f"{value!r} is no number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def _check_form(value: Json, form: Form, where: str) -> None:
    types, words = FORMS[form]
    if not isinstance(value, types) or (isinstance(value, bool) and form != "switch"):
        raise InvalidRequest(where, f"must be {words}")


def _python_params(
    params: JsonObject, where: str, python: bool, expressions: Mapping[str, str]
) -> JsonObject:
    if python and params.get("expression"):
        return params
    name = params.get(USE)
    if name is not None:
        if name not in expressions:
            known = ", ".join(expressions) or "none"
            raise InvalidRequest(
                f"{where}.{USE}", f"the settings name no expression {name!r}; known: {known}"
            )
        return {USE: name, "expression": expressions[str(name)]}
    if not python:
        raise InvalidRequest(
            f"{where}.type",
            "Python expressions are taken from the command line and the settings only; name one of"
            " the settings' with use",
        )
    if not params.get("expression"):
        raise InvalidRequest(f"{where}.expression", "python needs it")
    return params


def _check_params(kind: str, params: JsonObject, where: str) -> None:
    if kind == "regex" and "{{" not in str(params["pattern"]):
        if problem := matching_problem(str(params["pattern"])):
            raise InvalidRequest(
                f"{where}.pattern", f"{params['pattern']!r} does not compile: {problem}"
            )
    elif kind == "similarity" and params.get("metric", "f1") not in SIMILARITIES:
        names = ", ".join(SIMILARITIES)
        raise InvalidRequest(f"{where}.metric", f"{params['metric']!r} is none of {names}")
    elif kind == "json_schema" and isinstance(schema := params.get("schema"), dict):
        if problem := first_problem(schema):
            raise InvalidRequest(f"{where}.schema", problem)
    elif kind == "tool_call" and isinstance(params.get("calls"), list):
        _check_calls(params["calls"], f"{where}.calls")
    elif kind == "python" and (problem := expression_problem(str(params["expression"]))):
        raise InvalidRequest(f"{where}.expression", f"is no Python expression: {problem}")


def _check_calls(calls: Json, where: str) -> None:
    assert isinstance(calls, list)
    try:
        calls_of(calls)
    except ValueError as error:
        raise InvalidRequest(where, str(error)) from error
