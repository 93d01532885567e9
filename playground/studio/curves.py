"""Curves of a run as SVG: for the page, whose stylesheet colours them, and for notebooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 12, 26
TICKS = 4
MOST_POINTS = 400

COLOURS = {"loss": "#f06a1a", "eval": "#2563eb", "rate": "#78716c"}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line; ``kind`` is its class, and one of `COLOURS`."""

    name: str
    points: Sequence[Point]
    kind: str


def curves_svg(curves: Sequence[Curve], label: str, last_x: float | None = None) -> str:
    """The curves over steps, with axes and a legend; a sentence while there is nothing to draw."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return '<p class="empty">The curve begins with the first step.</p>'
    xs = [x for curve in drawn for x, _ in curve.points]
    ys = [y for curve in drawn for _, y in curve.points]
    low_x, high_x = 0.0, max(last_x or 0, *xs, 1)
    low_y, high_y = min(0.0, *ys), max(*ys, 1e-9)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)
        down = TOP + (high_y - y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)
        return across, down

    parts = [_axis(low_y + (high_y - low_y) * n / TICKS, place) for n in range(TICKS + 1)]
    parts += [
        f'<text x="{place(high_x * n / TICKS, low_y)[0]:.0f}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">{high_x * n / TICKS:,.0f}</text>'
        for n in range(1, TICKS + 1)
    ]
    for curve in drawn:
        points = " ".join(
            f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in _thinned(curve.points))
        )
        parts.append(f'<polyline class="{curve.kind}" points="{points}" {_stroke(curve)}/>')
        if len(curve.points) < TICKS * 8:
            parts += [
                f'<circle class="{curve.kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5" '
                f'fill="{COLOURS[curve.kind]}"/>'
                for x, y in (place(*p) for p in curve.points)
            ]
    legend = "".join(
        f'<span class="{curve.kind}"><i></i>{escape(curve.name)} '
        f"{_number(curve.points[-1][1])}</span>"
        for curve in drawn
    )
    return (
        f'<figure class="chart"><figcaption>{escape(label)}{legend}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" fill="currentColor" font-size="12" role="img" '
        f'aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def run_curves(log: Sequence[Mapping[str, Any]], steps: int) -> str:
    """Loss, eval loss and learning rate of a run's log (``metrics.jsonl``)."""

    def points(key: str) -> list[Point]:
        return [(each["step"], each[key]) for each in log if key in each and not each.get("done")]

    loss = [Curve("loss", points("loss"), "loss"), Curve("eval", points("eval_loss"), "eval")]
    rate = [Curve("learning rate", points("learning_rate"), "rate")]
    return (
        f'<div class="charts">{curves_svg(loss, "Loss, nats a token", steps)}'
        f"{curves_svg(rate, 'Learning rate', steps)}</div>"
    )


def _stroke(curve: Curve) -> str:
    return f'fill="none" stroke="{COLOURS[curve.kind]}" stroke-width="1.8"'


def _axis(value: float, place: object) -> str:
    _, down = place(0, value)  # type: ignore[operator]
    return (
        f'<line class="grid" stroke="#8884" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
        f'y1="{down:.1f}" y2="{down:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{down + 4:.1f}" text-anchor="end">{_number(value)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:.2g}"


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Means of neighbours where there are more points than pixels to tell them apart."""
    size = -(-len(points) // MOST_POINTS)
    if size < 2:
        return points
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [
        (sum(x for x, _ in each) / len(each), sum(y for _, y in each) / len(each))
        for each in groups
    ]
