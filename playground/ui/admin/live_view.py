"""The last minutes as HTML: figures of this moment, curves as SVG, and a table of whole minutes.

The numbers are `playground.lab.live`'s; nothing is measured here.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Final

from playground.lab.live import Figures, LiveFigures
from playground.ui.components.markup import render

WIDTH, HEIGHT = 420, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 24
WINDOW_S: Final = 900.0
GAP_READINGS: Final = 3
"""Where more readings than this are missing, a curve has a gap."""
SHORTEST_S: Final = 12.0
"""A shorter piece of a curve, a single answer's, is drawn that long: a pixel is 2.5 s."""
GIB: Final = 2**30
PERCENT: Final = " %"
STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
KINDS: Final = MappingProxyType({"loss": "var(--primary-500)", "eval": "#2563eb"})
"""Classes of curves, as those of a training run have them."""

Value = Callable[[Figures], float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its name, what it shows of each reading, and its class."""

    name: str
    value: Value
    kind: str = "loss"


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing: ``unit`` stands behind its numbers, ``high`` is the top where that is fixed, and
    ``whole`` numbers are counts."""

    label: str
    lines: tuple[Line, ...]
    unit: str = ""
    high: float | None = None
    whole: bool = False

    @property
    def tick(self) -> str:
        """The unit as there is room for it beside the axis."""
        return self.unit if len(self.unit) <= 2 else ""


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


CHARTS: Final = (
    Chart("Requests per second", (
        Line("all", lambda each: each.requests_per_second),
        Line("failed", lambda each: each.failures_per_second, "eval"),
    )),
    Chart("Tokens per second", (
        Line("answers", lambda each: each.tokens_per_second),
        Line("prompts", lambda each: each.prompt_tokens_per_second, "eval"),
    )),
    Chart("Time to first token", (
        Line("mean", lambda each: each.first_token_s),
        Line("95th percentile", lambda each: each.first_token_p95_s, "eval"),
    ), " s"),
    Chart("Requests", (
        Line("in the batch", lambda each: each.running),
        Line("waiting", lambda each: each.waiting, "eval"),
    ), whole=True),
    Chart("Caches", (
        Line("KV cache in use", lambda each: _percent(each.kv_usage)),
        Line("prompt tokens found", lambda each: _percent(each.prefix_hit_rate), "eval"),
    ), PERCENT, 100.0),
    Chart("Adapters in memory", (Line("versions", lambda each: each.adapters),), whole=True),
)  # fmt: skip
GPU_MEMORY: Final = Line("in use", lambda each: each.gpu_used_bytes / GIB)


def live_html(live: LiveFigures) -> str:
    """Return the figures of this moment, the jobs that run, and the curves."""
    figures = live.figures()
    charts = [_drawn(chart, figures, live.interval_s) for chart in _charts(figures)]
    return render(
        "admin/live.html",
        charts=charts if figures else [],
        jobs=live.jobs(),
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
        wait_s=2 * live.interval_s,
    )


def minutes_html(live: LiveFigures) -> str:
    """Return a table of the minutes that are over, the latest first."""
    figures = live.figures()
    charts = _charts(figures)
    minutes = [
        (time.strftime("%H:%M", time.gmtime(60 * minute)), list(group))
        for minute, group in groupby(figures, lambda each: int(each.time // 60))
    ]
    rows = [
        (name, [[_shown(_mean(group, line.value), chart.unit) for line in chart.lines]
                for chart in charts])
        for name, group in reversed(minutes[:-1])
    ]  # fmt: skip
    return render("admin/minutes.html", charts=charts, rows=rows)


def _charts(figures: Sequence[Figures]) -> list[Chart]:
    """Return the drawings; a GPU's memory where there is a GPU."""
    total = figures[-1].gpu_total_bytes / GIB if figures else 0.0
    gpu = [Chart("GPU memory", (GPU_MEMORY,), " GiB", total)] if total else []
    return [*CHARTS, *gpu]


def _drawn(chart: Chart, figures: Sequence[Figures], interval_s: float) -> dict[str, object]:
    values = [line.value(each) for line in chart.lines for each in figures]
    known = [value for value in values if value is not None]
    most = max(known, default=0.0)
    high = chart.high or _round_up(max(most, 2.0) if chart.whole else most)
    now = figures[-1].time if figures else 0.0

    def across(moment: float) -> float:
        return LEFT + (1 - (now - moment) / WINDOW_S) * (WIDTH - LEFT - RIGHT)

    def down(value: float) -> float:
        return TOP + (1 - min(1.0, value / high)) * (HEIGHT - TOP - BOTTOM)

    ticks = [high * share for share in (0.0, 0.5, 1.0)]
    shown = [tick for tick in ticks if not chart.whole or tick.is_integer()]
    return {
        "label": chart.label,
        "curves": [
            {
                "name": line.name,
                "kind": line.kind,
                "colour": KINDS[line.kind],
                "last": _shown(line.value(figures[-1]) if figures else None, chart.unit),
                "pieces": [
                    " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in piece)
                    for piece in _pieces(line, figures, GAP_READINGS * interval_s)
                ],
            }
            for line in chart.lines
        ],
        "values": [(down(value), _number(value) + chart.tick) for value in shown],
        "times": [
            (across(now - 60 * ago), f"−{ago} min" if ago else "now") for ago in (15, 10, 5, 0)
        ],
    }


def _pieces(
    line: Line, figures: Sequence[Figures], gap_s: float
) -> list[list[tuple[float, float]]]:
    """Return a curve's points, cut where nothing is known for a while; short pieces are long
    enough to be seen."""
    pieces: list[list[tuple[float, float]]] = []
    for each in figures:
        value = line.value(each)
        if value is None:
            continue
        if not pieces or each.time - pieces[-1][-1][0] > gap_s:
            pieces.append([])
        pieces[-1].append((each.time, value))
    return [_seen(piece) for piece in pieces]


def _seen(piece: list[tuple[float, float]]) -> list[tuple[float, float]]:
    (first, left), (last, _) = piece[0], piece[-1]
    missing = SHORTEST_S - (last - first)
    return [(first - missing, left), *piece] if missing > 0 else piece


def _mean(figures: Sequence[Figures], value: Value) -> float | None:
    known = [found for each in figures if (found := value(each)) is not None]
    return sum(known) / len(known) if known else None


def _round_up(value: float) -> float:
    """Return the next number that is easily read; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in STEPS if step * power >= value * 0.999)


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == PERCENT:
        return f"{value:.1f}".removesuffix(".0") + unit
    return _number(float(f"{value:.2g}") if value < 1 else value) + unit


def _number(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
