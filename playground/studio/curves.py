"""Curves of a training log as SVG: for the page, whose stylesheet colors them, and for notebooks.

Coordinates are computed here, the markup is a Jinja2 template with autoescape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, Template

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 12, 26
TICKS = 4
MAX_POINTS = 400
MAX_MARKED_POINTS = 8 * TICKS
"""Up to here each point is marked: a line of a few points would look like a measured curve."""
COLORS = {"loss": "#f06a1a", "eval": "#2563eb", "rate": "#78716c"}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A named line over steps; ``kind`` is its CSS class, and one of `COLORS`."""

    name: str
    points: Sequence[Point]
    kind: str


@dataclass(frozen=True, slots=True)
class _Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A curve in the coordinates of the SVG."""

    name: str
    kind: str
    color: str
    last: str
    points: Sequence[Point]
    markers: Sequence[Point]


@dataclass(frozen=True, slots=True)
class _Chart:
    label: str
    lines: Sequence[_Line] = ()
    x_ticks: Sequence[_Tick] = ()
    y_ticks: Sequence[_Tick] = ()


def run_curves(log: Sequence[Mapping[str, float]], steps: int) -> str:
    """Return loss, eval loss and learning rate of a training log as HTML with SVG."""

    def points(key: str) -> list[Point]:
        return [(line["step"], line[key]) for line in log if key in line and not line.get("done")]

    loss = [Curve("loss", points("loss"), "loss"), Curve("eval", points("eval_loss"), "eval")]
    rate = [Curve("learning rate", points("learning_rate"), "rate")]
    charts = [_chart(loss, "Loss, nats a token", steps), _chart(rate, "Learning rate", steps)]
    return _template().render(charts=charts, width=WIDTH, height=HEIGHT, left=LEFT, right=RIGHT)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("playground.studio"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("curves.html.jinja")


def _chart(curves: Sequence[Curve], label: str, last_x: float) -> _Chart:
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return _Chart(label)
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    high_x, low_y, high_y = max(last_x, *xs, 1), min(0.0, *ys), max(*ys, 1e-9)

    def place(x: float, y: float) -> Point:
        across = LEFT + x / high_x * (WIDTH - LEFT - RIGHT)
        down = TOP + (high_y - y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)
        return across, down

    def to_line(curve: Curve) -> _Line:
        marked = curve.points if len(curve.points) < MAX_MARKED_POINTS else ()
        return _Line(
            curve.name,
            curve.kind,
            COLORS[curve.kind],
            f"{curve.points[-1][1]:.2g}",
            [place(x, y) for x, y in _thin_out(curve.points)],
            [place(x, y) for x, y in marked],
        )

    x_values = [high_x * number / TICKS for number in range(1, TICKS + 1)]
    y_values = [low_y + (high_y - low_y) * number / TICKS for number in range(TICKS + 1)]
    return _Chart(
        label,
        [to_line(curve) for curve in curves],
        [_Tick(place(x, low_y)[0], f"{x:,.0f}") for x in x_values],
        [_Tick(place(0, y)[1], f"{y:.2g}") for y in y_values],
    )


def _thin_out(points: Sequence[Point]) -> Sequence[Point]:
    """Means of neighbors where there are more points than pixels to tell them apart."""
    size = -(-len(points) // MAX_POINTS)
    if size < 2:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]
