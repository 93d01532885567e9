"""An answer in JSON mode as HTML and tables. Pure functions from values to what is shown."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from playground.structured.extraction import FieldMark


def fields_table(marks: Sequence[FieldMark]) -> str:
    """Every field with its value, the rules of the schema that hold for it, and a mark."""
    if not marks:
        return ""
    rows = "".join(
        f'<tr class="{"bad" if mark.problem else "good"}"><td><code>{escape(mark.path)}</code></td>'
        f"<td>{escape(_value(mark.value))}</td>"
        f"<td>{escape(mark.problem or mark.rules or 'anything')}</td>"
        f'<td class="mark" aria-label="{"breaks" if mark.problem else "fits"}">'
        f"{'✕' if mark.problem else '✓'}</td></tr>"
        for mark in marks
    )
    heads = "<tr><th>Field</th><th>Value</th><th>Checked</th><th></th></tr>"
    return f'<div class="fields"><table><thead>{heads}</thead><tbody>{rows}</tbody></table></div>'


def table_of(value: Any) -> dict[str, Any] | None:
    """The first list of objects in the value as a table, or the value itself as one row."""
    rows = _objects(value)
    if rows is None:
        rows = [value] if isinstance(value, dict) else None
    if not rows:
        return None
    heads = list(dict.fromkeys(key for row in rows for key in row))
    return {"headers": heads, "data": [[_value(row.get(key, "")) for key in heads] for row in rows]}


def progress_bar(done: int, total: int, failed: int) -> str:
    """How far a batch is."""
    share = done / total if total else 0
    problems = f" · {failed:,} with a problem" if failed else ""
    return (
        f'<div class="progress" role="progressbar" aria-valuemin="0" aria-valuemax="{total}" '
        f'aria-valuenow="{done}"><span style="width:{share:.1%}"></span></div>'
        f"<p>{done:,} of {total:,} texts{problems}</p>"
    )


def _objects(value: Any) -> list[dict[str, Any]] | None:
    if isinstance(value, list):
        return value if value and all(isinstance(each, dict) for each in value) else None
    if isinstance(value, dict):
        return next(filter(None, map(_objects, value.values())), None)
    return None


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
