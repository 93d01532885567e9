"""A report card as JSON, Markdown and a self-contained HTML page.

Knows the card's data and two templates; HTML is escaped by Jinja2.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from playground.evaluation.metrics import Estimate
from playground.evaluation.report_card import UNBOUNDED, ReportCard, ReportSection
from playground.evaluation.task_changes import shown
from playground.files import write_atomic
from playground.store.report_card_files import REPORT_CARD_FILES, ReportCardFormat

BAR_COLORS = ("#94a3b8", "#60a5fa", "#ea580c")
"""The base, what the adapter is compared with, the adapter."""
BAR_HEIGHT, HEADING_HEIGHT, GROUP_GAP = 18, 20, 8
BARS_LEFT, POINTS_PER_PERCENT = 160, 4.0


def write_report_card(card: ReportCard, folder: Path) -> dict[ReportCardFormat, Path]:
    """Write the card's files into a folder; returns their paths by format."""
    writers: dict[ReportCardFormat, Callable[[ReportCard], str]] = {
        "json": to_json, "md": to_markdown, "html": to_html,
    }  # fmt: skip
    paths = {ending: folder / REPORT_CARD_FILES[ending] for ending in writers}
    for ending, write in writers.items():
        write_atomic(paths[ending], write(card))
    return paths


def to_json(card: ReportCard) -> str:
    """Return every number as JSON; one that is not finite is null."""
    return json.dumps(_without_nan(asdict(card)), indent=1, ensure_ascii=False) + "\n"


def to_markdown(card: ReportCard) -> str:
    """Return the card as a page of Markdown."""
    text = _environment().get_template("report_card.md.jinja").render(card=card)
    return text.rstrip() + "\n"


def to_html(card: ReportCard) -> str:
    """Return the card as a page with plots, which needs no other file."""
    template = _environment().get_template("report_card.html.jinja")
    return template.render(card=card, plots=[_plot(card, section) for section in card.parts])


def cell(metric: str, value: Estimate | None) -> str:
    """Return a number as it is printed: shares in percent, with their interval."""
    if value is None or not value.rows:
        return "–"
    if metric in UNBOUNDED:
        return f"{value.mean:.3g} ({value.low:.3g} to {value.high:.3g})"
    return f"{100 * value.mean:.1f}% ({100 * value.low:.1f} to {100 * value.high:.1f})"


def trained_in(training: Mapping[str, int]) -> str:
    """Say how many processes trained, and what each of them held."""
    number, peak = int(training.get("processes", 1)), training.get("peak_bytes", 0) / 2**30
    if number == 1:
        return f"one process, with {peak:.1f} GiB at its peak"
    return f"{number} processes, each with the whole base and at most {peak:.1f} GiB at its peak"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("playground.evaluation"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["one_line"] = lambda text: " ".join(text.split()) or "(nothing)"
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    environment.globals["cell"] = cell
    environment.globals["trained_in"] = trained_in
    environment.globals["figure"] = shown
    return environment


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, slots=True)
class _Bar:
    """One lane's bar in user units of the SVG; ``low`` and ``high`` end its interval."""

    label: str
    y: float
    width: float
    low: float
    high: float
    color: str
    percent: str


@dataclass(frozen=True, slots=True)
class _Group:
    """The bars of one metric."""

    metric: str
    y: float
    bars: tuple[_Bar, ...]


@dataclass(frozen=True, slots=True)
class _Plot:
    """All metrics of a section that are shares, as bars below each other."""

    groups: tuple[_Group, ...]
    height: float
    left: float = BARS_LEFT


def _plot(card: ReportCard, section: ReportSection) -> _Plot:
    of_adapter = section.measures[card.lanes[-1]]
    groups, y = [], 0
    for metric, value in of_adapter.items():
        if metric in UNBOUNDED or not value.rows:
            continue
        heading_y = y + 14
        y += HEADING_HEIGHT
        bars = []
        for number, lane in enumerate(card.lanes):
            color = BAR_COLORS[min(number, 1) if number < len(card.lanes) - 1 else -1]
            estimate = section.measures[lane].get(metric)
            if estimate:
                bars.append(_bar(lane, estimate, y, color))
            y += BAR_HEIGHT
        groups.append(_Group(metric, heading_y, tuple(bars)))
        y += GROUP_GAP
    return _Plot(tuple(groups), y)


def _bar(lane: str, value: Estimate, y: float, color: str) -> _Bar:
    mean, low, high = (
        100 * share * POINTS_PER_PERCENT for share in (value.mean, value.low, value.high)
    )
    return _Bar(
        lane[:20], y, mean, BARS_LEFT + low, BARS_LEFT + high, color, f"{100 * value.mean:.1f}%"
    )
