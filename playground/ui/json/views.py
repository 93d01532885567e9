"""An answer of the JSON tab as HTML and tables. Pure functions from values to what is shown."""

import json
from collections.abc import Sequence
from typing import TypedDict

from playground.structured.field_marks import FieldMark
from playground.ui.components.markup import render


class Table(TypedDict):
    """The value of a Dataframe."""

    headers: list[str]
    data: list[list[str]]


def fields_table(marks: Sequence[FieldMark]) -> str:
    """Return each field with its value, the rules of the schema for it, and a mark."""
    if not marks:
        return ""
    return render("json/fields.html", marks=marks, text_of=value_text)


def table_of(value: object) -> Table | None:
    """Return the first list of objects in the value as a table, or the value as a single row."""
    rows = _objects(value)
    if rows is None:
        rows = [value] if isinstance(value, dict) else None
    if not rows:
        return None
    heads = list(dict.fromkeys(key for row in rows for key in row))
    data = [[value_text(row.get(key, "")) for key in heads] for row in rows]
    return {"headers": heads, "data": data}


def batch_progress(done: int, total: int, failed: int) -> str:
    """Return the progress bar of a batch."""
    return render("json/progress.html", done=done, total=total, failed=failed)


def value_text(value: object) -> str:
    """Return a value as a cell shows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _objects(value: object) -> list[dict[str, object]] | None:
    if isinstance(value, list):
        return value if value and all(isinstance(item, dict) for item in value) else None
    if isinstance(value, dict):
        return next(filter(None, map(_objects, value.values())), None)
    return None
