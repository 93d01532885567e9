"""promptfoo's assertions as graders. One that cannot be graded alike here is refused by name."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from playground.errors import InvalidRequest
from playground.lab.sweeps.files import PREFIX, SweepFiles
from playground.protocol.json_types import Json, JsonObject

SIMILAR_THRESHOLD = 0.75
"""promptfoo's default."""
SIMILAR = "similar is graded by the cosine of word counts here, not of embeddings"
JUDGED = "the models that assertions name do not judge: this server's judge does"
TEXT: Final[Mapping[str, JsonObject]] = MappingProxyType(
    {
        "equals": {"type": "exact"},
        "contains": {"type": "contains"},
        "icontains": {"type": "contains", "ignore_case": True},
        "starts-with": {"type": "starts_with"},
    }
)
LISTS: Final[Mapping[str, JsonObject]] = MappingProxyType(
    {
        "contains-all": {"type": "contains"},
        "contains-any": {"type": "contains", "any": True},
        "icontains-all": {"type": "contains", "ignore_case": True},
        "icontains-any": {"type": "contains", "ignore_case": True, "any": True},
    }
)
OTHERS: Final = (
    "regex", "is-json", "contains-json", "similar", "llm-rubric", "cost", "latency",
)  # fmt: skip
PROGRAMS: Final = ("javascript", "python", "ruby", "webhook")
KEYS: Final = ("type", "value", "threshold", "weight", "metric", "provider")
CELL = re.compile(r"(?P<type>(not-)?[a-z]+(-[a-z]+)*)(\((?P<threshold>[\d.]+)\))?:\s*(?P<value>.*)",
                  re.DOTALL)  # fmt: skip


def grader_of(item: Json, where: str, files: SweepFiles, notes: list[Json]) -> JsonObject:
    """Return an assertion as a grader; what is different here is added to ``notes``.

    Raises `InvalidRequest` for one that is not supported.
    """
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        raise InvalidRequest(where, "must be an object with a type")
    written = str(item["type"])
    kind = written.removeprefix("not-")
    if kind in PROGRAMS:
        raise InvalidRequest(
            f"{where}.type", f"{written} is refused: assertions that are programs are not run"
        )
    for key in item:
        if key not in KEYS:
            raise InvalidRequest(f"{where}.{key}", "is not supported")
    if "provider" in item:
        notes.append(JUDGED)
    made = _grader(kind, item, _value(item.get("value"), where, files), where, notes)
    made["name"] = str(item.get("metric") or written)
    if "weight" in item:
        made["weight"] = item["weight"]
    return made | ({"negate": True} if written != kind else {})


def _grader(kind: str, item: JsonObject, value: Json, where: str, notes: list[Json]) -> JsonObject:
    threshold = item.get("threshold")
    if kind in TEXT:
        if isinstance(value, (dict, list)):
            return {"type": "json", "value": json.dumps(value)}
        return TEXT[kind] | {"value": _text(value, where)}
    if kind in LISTS:
        texts = value if isinstance(value, list) else str(value or "").split(",")
        return LISTS[kind] | {"value": [str(text).strip() for text in texts]}
    if kind == "regex":
        return {"type": "regex", "pattern": _text(value, where)}
    if kind in ("is-json", "contains-json"):
        schema: JsonObject = {"schema": value} if isinstance(value, dict) else {}
        return {"type": "json_schema", "anywhere": kind == "contains-json", **schema}
    if kind == "similar":
        notes.append(SIMILAR)
        chosen = SIMILAR_THRESHOLD if threshold is None else threshold
        return {
            "type": "similarity", "metric": "cosine", "value": _text(value, where),
            "threshold": chosen,
        }  # fmt: skip
    if kind == "llm-rubric":
        made: JsonObject = {"type": "rubric", "rubric": _text(value, where)}
        return made | {"threshold": 0.5 if threshold is None else threshold}
    if kind in ("cost", "latency"):
        if not isinstance(threshold, (int, float)):
            raise InvalidRequest(f"{where}.threshold", f"{kind} needs it")
        return {"type": kind, "max_usd" if kind == "cost" else "max_ms": threshold}
    known = ", ".join((*TEXT, *LISTS, *OTHERS))
    raise InvalidRequest(f"{where}.type", f"{kind!r} is not supported; these are: {known}")


def _value(value: Json, where: str, files: SweepFiles) -> Json:
    if not isinstance(value, str) or not value.startswith(PREFIX):
        return value
    if value.endswith((".js", ".cjs", ".mjs", ".ts", ".py")):
        raise InvalidRequest(f"{where}.value", f"{value}: programs are not run")
    if value.endswith((".json", ".yaml", ".yml")):
        return files.value(value, f"{where}.value")
    return files.text(value, f"{where}.value").strip()


def _text(value: Json, where: str) -> str:
    if value is None or isinstance(value, (dict, list, bool)):
        raise InvalidRequest(f"{where}.value", "must be a text")
    return str(value)


def assertion_of_cell(text: str) -> JsonObject:
    """Return the assertion that a cell of a column ``__expected`` holds: ``contains: Paris``,
    ``similar(0.8): …``, or the text that the answer has to equal."""
    for short in ("fn:", "eval:", "javascript:", "python:"):
        if text.startswith(short):
            return {"type": "javascript" if short != "python:" else "python", "value": text}
    found = CELL.fullmatch(text.strip())
    if text.strip() in ("is-json", "contains-json"):
        return {"type": text.strip()}
    kind = found["type"] if found else ""
    if kind == "grade":
        kind = "llm-rubric"
    if found is None or kind.removeprefix("not-") not in (*TEXT, *LISTS, *OTHERS):
        return {"type": "equals", "value": text}
    made: JsonObject = {"type": kind, "value": found["value"]}
    if kind in ("cost", "latency"):
        return {"type": kind, "threshold": float(found["value"])}
    return made | ({"threshold": float(found["threshold"])} if found["threshold"] else {})
