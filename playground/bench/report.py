"""What a run found: as values, as JSON, as a table for the terminal."""

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

OURS = "playground"
ONE_STREAM = "1 stream, 64 + 64"
ONE_STEP = "1 stream, one step"


@dataclass(frozen=True, slots=True)
class Line:
    """A measure's medians: tokens a second, or seconds where ``unit`` says so, by system."""

    name: str
    unit: str
    medians: dict[str, float]

    def ratio(self, of: str, to: str) -> float | None:
        """How many times as much; None where one of them was not measured."""
        if of not in self.medians or to not in self.medians:
            return None
        return self.medians[of] / self.medians[to]


@dataclass(frozen=True, slots=True)
class Report:
    """``floor`` is the shortest possible step in seconds: bytes of the weights over the memory's
    bandwidth in bytes a second.
    """

    shape: str
    precision: str
    threads: int
    bandwidth: float
    floor: float
    rounds: int
    lines: tuple[Line, ...]

    def over_floor(self) -> dict[str, float]:
        """By system, how many times the floor a step of one stream takes."""
        one = next((line for line in self.lines if line.name == ONE_STEP), None)
        return {system: took / self.floor for system, took in one.medians.items()} if one else {}

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        lines = [{"name": x.name, "unit": x.unit, "medians": x.medians} for x in self.lines]
        return {
            "shape": self.shape,
            "precision": self.precision,
            "threads": self.threads,
            "bandwidth_bytes_per_s": round(self.bandwidth),
            "floor_s": self.floor,
            "times_the_floor": {key: round(value, 2) for key, value in self.over_floor().items()},
            "rounds": self.rounds,
            "lines": lines,
        }


def as_table(report: Report) -> Table:
    """Under each measure a row for each system, and how many times its value ours is."""
    table = Table(
        title=f"{report.shape}, {report.precision}, {report.threads} thread(s), medians of"
        f" {report.rounds}\nfloor of a step: {1000 * report.floor:,.3g} ms",
        box=box.SIMPLE,
    )
    table.add_column("measure", no_wrap=True)
    for heading in ("median", "unit", "ours ÷ it"):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    for line in report.lines:
        table.add_row(f"[bold]{line.name}[/]")
        for system, value in line.medians.items():
            ratio = line.ratio(OURS, system) if system != OURS else None
            shown = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
            table.add_row(f"  {system}", shown, line.unit, f"{ratio:.2f}" if ratio else "")
        table.add_section()
    if over := report.over_floor():
        table.add_row(f"[bold]{ONE_STEP} ÷ floor[/]")
        for system, times in over.items():
            table.add_row(f"  {system}", f"{times:.2f}", "times", "")
    return table
