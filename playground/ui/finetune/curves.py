"""Curves of a training run as SVG: for the page (its stylesheet colours them) and notebooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from playground.ui.components.markup import render

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 14, 30
TICKS = 4
MOST_POINTS = 400
MOST_DOTS = 31
"""A curve with more points is drawn without dots."""

COLOURS: Final = MappingProxyType({"loss": "#f06a1a", "eval": "#2563eb", "rate": "#78716c"})

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line; ``kind`` is its class, and one of `COLOURS`."""

    name: str
    points: Sequence[Point]
    kind: str


@dataclass(frozen=True, slots=True)
class Axes:
    """The largest step, and the range of values."""

    high_x: float
    low_y: float
    high_y: float

    def place(self, point: Point) -> Point:
        """Return a point in the coordinates of the drawing."""
        x, y = point
        across = LEFT + x / self.high_x * (WIDTH - LEFT - RIGHT)
        down = TOP + (self.high_y - y) / (self.high_y - self.low_y) * (HEIGHT - TOP - BOTTOM)
        return across, down


def run_curves(log: Sequence[Mapping[str, float]], steps: int) -> str:
    """Return the loss, eval loss and learning rate of a run's log (``metrics.jsonl``)."""

    def points(key: str) -> list[Point]:
        return [(line["step"], line[key]) for line in log if key in line and not line.get("done")]

    loss = [Curve("loss", points("loss"), "loss"), Curve("eval", points("eval_loss"), "eval")]
    rate = [Curve("learning rate", points("learning_rate"), "rate")]
    return render(
        "finetune/curves.html",
        charts=[_chart("Loss, nats per token", loss, steps), _chart("Learning rate", rate, steps)],
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
    )


def _chart(label: str, curves: Sequence[Curve], last_step: float) -> dict[str, object]:
    """Return what the template draws; without curves there is only a sentence."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return {"label": label, "curves": []}
    axes = _axes(drawn, last_step)
    span = axes.high_y - axes.low_y
    values = [axes.low_y + span * tick / TICKS for tick in range(TICKS + 1)]
    steps = [axes.high_x * tick / TICKS for tick in range(1, TICKS + 1)]
    return {
        "label": label,
        "curves": [_line(curve, axes) for curve in drawn],
        "values": [(axes.place((0, value))[1], _number(value)) for value in values],
        "steps": [(axes.place((step, axes.low_y))[0], f"{step:,.0f}") for step in steps],
    }


def _axes(curves: Sequence[Curve], last_step: float) -> Axes:
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    return Axes(max(last_step, *xs, 1), min(0.0, *ys), max(*ys, 1e-9))


def _line(curve: Curve, axes: Axes) -> dict[str, object]:
    points = [axes.place(point) for point in _thinned(curve.points)]
    return {
        "name": curve.name,
        "kind": curve.kind,
        "colour": COLOURS[curve.kind],
        "last": _number(curve.points[-1][1]),
        "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        "dots": points if len(curve.points) <= MOST_DOTS else [],
    }


def _number(value: float) -> str:
    return f"{value:.2g}"


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Return means of neighbours where there are more points than pixels to tell them apart."""
    size = -(-len(points) // MOST_POINTS)
    if size < 2:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]
