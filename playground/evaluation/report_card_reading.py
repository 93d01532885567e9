"""A report card read back from its JSON, to be written again with something added."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from playground.errors import Conflict
from playground.evaluation.metrics import Estimate
from playground.evaluation.report_card import (
    Advice,
    ReportCard,
    ReportSection,
    RowResult,
    Verdict,
)
from playground.evaluation.task_changes import TaskChange
from playground.protocol.json_types import Json, JsonObject, list_at, object_at, objects_at
from playground.store.report_card_files import REPORT_CARD_FILES

ONLY_TASKS = "no rows of its own were asked"


def read_report_card(folder: Path) -> ReportCard | None:
    """Return the card beside an adapter; None if there is none. Raises `Conflict` if it is
    damaged."""
    path = folder / REPORT_CARD_FILES["json"]
    if not path.is_file():
        return None
    try:
        return _card(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Conflict(f"{path} is damaged: {error!r}; make it anew") from error


def card_of_tasks(lanes: tuple[str, str], tasks: tuple[TaskChange, ...]) -> ReportCard:
    """Return a card of an adapter of which nothing but public tasks is known: not enough to
    recommend it."""
    return ReportCard(lanes, (), "look closer", (ONLY_TASKS,), tasks=tasks)


def _card(body: JsonObject) -> ReportCard:
    verdict = body["verdict"]
    if verdict not in get_args(Verdict):
        raise ValueError(f"verdict {verdict!r}")
    return ReportCard(
        lanes=tuple(map(str, list_at(body, "lanes"))),
        parts=tuple(_section(each) for each in objects_at(body, "parts")),
        verdict=cast("Verdict", verdict),
        reasons=tuple(map(str, list_at(body, "reasons"))),
        made_of=object_at(body, "made_of"),
        advice=tuple(Advice(**each) for each in objects_at(body, "advice")),  # type: ignore[arg-type]
        tasks=tuple(_task(each) for each in objects_at(body, "tasks")),
    )


def _section(body: JsonObject) -> ReportSection:
    measures = {lane: _estimates(each) for lane, each in object_at(body, "measures").items()}
    read: dict[str, object] = {
        "measures": measures,
        "differences": _estimates(body["differences"]),
        "worst": tuple(RowResult(**each) for each in objects_at(body, "worst")),  # type: ignore[arg-type]
    }
    return ReportSection(**{**body, **read})  # type: ignore[arg-type]  # written by `asdict`


def _task(body: JsonObject) -> TaskChange:
    difference = body.get("difference")
    estimate = _estimate(difference) if isinstance(difference, dict) else None
    return TaskChange(**{**body, "difference": estimate})  # type: ignore[arg-type]


def _estimates(value: Json) -> Mapping[str, Estimate]:
    named = value if isinstance(value, dict) else {}
    return {name: _estimate(each) for name, each in named.items() if isinstance(each, dict)}


def _estimate(body: JsonObject) -> Estimate:
    """Figures that are not finite are null in a file."""
    mean, low, high = (
        float(value) if isinstance(value, (int, float)) else math.nan
        for value in (body.get("mean"), body.get("low"), body.get("high"))
    )
    return Estimate(mean, low, high, int(str(body.get("rows") or 0)))
