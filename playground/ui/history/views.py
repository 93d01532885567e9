"""The list of conversations as HTML, by day."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

from playground.store.conversation_search import CLOSE, OPEN
from playground.store.conversation_types import Kind, Page, Summary
from playground.ui.components.markup import render

KINDS: Mapping[Kind, str] = MappingProxyType(
    {
        "chat": "Chat",
        "functions": "Functions",
        "compare": "Compare",
        "api": "API",
        "import": "Imported",
    }
)
MARKED = re.compile(f"({OPEN}[^{CLOSE}]*{CLOSE})")


class Part(NamedTuple):
    """A part of a line that a search found."""

    text: str
    found: bool


def list_html(page: Page, shown: Sequence[str], empty: str) -> str:
    """Return the list; ``shown`` are the ids of those that are open, ``empty`` is said of none."""
    today = datetime.now().astimezone().date()
    groups = [
        (day, list(each))
        for day, each in groupby(page.conversations, lambda summary: day_of(summary, today))
    ]
    return render(
        "history/list.html",
        groups=groups,
        shown=set(filter(None, shown)),
        empty=empty,
        kinds=KINDS,
        parts=parts_of,
        has_more=page.has_more,
    )


def day_of(summary: Summary, today: date) -> str:
    """Return the day on which a conversation was last changed, in this server's time."""
    day = datetime.fromtimestamp(summary.updated).astimezone().date()
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B %Y}"


def parts_of(snippet: str) -> list[Part]:
    """Split a line into what was found and what stands around it."""
    return [
        Part(each.strip(OPEN + CLOSE), each.startswith(OPEN))
        for each in MARKED.split(snippet)
        if each
    ]
