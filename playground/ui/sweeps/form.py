"""What is written in the Evaluate tab, as a sweep is written in a file.

Pure functions from the form's values; what is wrong in them is found where a sweep is read.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypedDict

from playground.errors import InvalidRequest
from playground.lab.sweeps.rows import Located, rows_of_file, rows_of_text
from playground.protocol.json_types import Json, JsonObject

SEPARATOR = re.compile(r"^---\s*$", re.MULTILINE)
"""Between two versions of a prompt."""


class SweepForm(TypedDict):
    """The inputs that make a sweep, by the names of the handlers' arguments."""

    name: str
    saved: list[str]
    systems: str
    message: str
    models: list[str]
    temperature: str
    max_tokens: str
    seed: str
    file: str | None
    rows: str
    price: float


GRADERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "Exact match": ("exact", "Expected text; empty: the row's expected field"),
        "Contains": ("contains", "Text; empty: the row's expected field"),
        "Regular expression": ("regex", r"Pattern, such as ^\d+$"),
        "JSON schema": ("json_schema", "Schema as JSON; empty: any JSON"),
        "JSON equality": ("json", "Expected JSON; empty: the row's expected field"),
        "JSON field": ("field", "field = expected value, such as name = {{ name }}"),
        "Tool call": ("tool_call", "Calls as JSON; empty: the row's expected_calls"),
        "Number": ("number", "Tolerance, such as 0.01 or 1%"),
        "Word overlap (F1)": ("similarity", "Expected text; empty: the row's expected field"),
        "Judge: better than the expected answer": ("judge", "Rubric: what makes an answer better"),
        "Judge: rubric": ("rubric", "Rubric: what a good answer is like"),
        "Expression of the settings": ("python", "Its name"),
    }
)
"""Each grader by what it is called on the page: its type, and what its value is."""


def grader_body(label: str, value: str) -> JsonObject:
    """Return a grader as the form has it. Raises `InvalidRequest`."""
    kind, text = GRADERS[label][0], value.strip()
    body: JsonObject = {"type": kind}
    if kind in ("exact", "contains", "json", "similarity"):
        return body | ({"value": text} if text else {})
    if kind == "regex":
        return body | {"pattern": value}
    if kind in ("judge", "rubric"):
        return body | {"rubric": text} if text else body
    if kind == "python":
        return body | {"use": text}
    if kind == "field":
        name, _, wanted = text.partition("=")
        return body | {"field": name.strip()} | ({"value": wanted.strip()} if wanted else {})
    if kind == "number":
        return body | _tolerance(text)
    if not text:
        return body
    return body | {"schema" if kind == "json_schema" else "calls": _json(text, label)}


def _tolerance(text: str) -> JsonObject:
    if not text:
        return {}
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError as error:
        raise InvalidRequest("tolerance", f"{text!r} is no number") from error
    return {"relative": number / 100} if percent else {"tolerance": number}


def _json(text: str, field: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError as error:
        raise InvalidRequest(field, f"not JSON: {error}") from error
    return value


def sweep_body(form: SweepForm, graders: Sequence[Mapping[str, object]]) -> JsonObject:
    """Return the sweep that the form describes. Raises `InvalidRequest` for what is no number, and
    for broken rows with line and column."""
    located = _rows(form)
    lists = (("temperature", float), ("max_tokens", int), ("seed", int))
    settings: JsonObject = {
        name: numbers for name, kind in lists if (numbers := _numbers(form, name, kind))
    }
    return {
        "name": form["name"].strip() or "sweep",
        "prompts": _prompts(form),
        "models": list(form["models"]),
        "settings": settings,
        "rows": [row for _, row in located],
        "lines": [line for line, _ in located],
        "graders": [dict(grader) for grader in graders],  # type: ignore[arg-type]
        "price": form["price"],
    }


def _rows(form: SweepForm) -> list[Located]:
    if form["file"]:
        return rows_of_file(Path(form["file"]))
    return rows_of_text(form["rows"])


def _prompts(form: SweepForm) -> list[Json]:
    """Saved versions, and each system prompt with the message."""
    prompts: list[Json] = [{"prompt": name} for name in form["saved"] or []]
    systems = [text.strip() for text in SEPARATOR.split(form["systems"])]
    message = form["message"].strip()
    if prompts and not any(systems) and not message:
        return prompts
    for number, system in enumerate(systems, 1):
        prompt: JsonObject = {"name": f"v{number}"}
        prompts.append(
            prompt | ({"system": system} if system else {}) | ({"user": message} if message else {})
        )
    return prompts


def _numbers(form: SweepForm, name: str, kind: type[int] | type[float]) -> list[Json]:
    text = str(form[name] or "")  # type: ignore[literal-required]
    numbers: list[Json] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            numbers.append(kind(part))
        except ValueError as error:
            whole = "a whole number" if kind is int else "a number"
            raise InvalidRequest(name, f"{part!r} is not {whole}") from error
    return numbers
