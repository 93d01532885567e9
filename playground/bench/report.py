"""What a run found: as values, as JSON, as a table for the terminal."""

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

OURS = "playground"
ONE_STREAM = "1 stream, 64 + 64"


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
    """``floor`` is the largest possible tokens a second of one stream: memory bandwidth in bytes a
    second over the bytes of the weights.
    """

    shape: str
    precision: str
    threads: int
    bandwidth: float
    floor: float
    rounds: int
    lines: tuple[Line, ...]

    def over_floor(self) -> dict[str, float]:
        """By system, how many times as long as the floor a token of one stream takes."""
        one = next((line for line in self.lines if line.name == ONE_STREAM), None)
        return {system: self.floor / speed for system, speed in one.medians.items()} if one else {}

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        lines = [{"name": x.name, "unit": x.unit, "medians": x.medians} for x in self.lines]
        return {
            "shape": self.shape,
            "precision": self.precision,
            "threads": self.threads,
            "bandwidth_bytes_per_s": round(self.bandwidth),
            "floor_tokens_per_s": round(self.floor, 1),
            "times_the_floor": {key: round(value, 2) for key, value in self.over_floor().items()},
            "rounds": self.rounds,
            "lines": lines,
        }


def as_table(report: Report) -> Table:
    """A row for each system of each measure, and how many times its value ours is."""
    table = Table(
        title=f"{report.shape}, {report.precision}, {report.threads} thread(s), medians of"
        f" {report.rounds}; floor of one stream {report.floor:,.0f} tokens/s",
        box=box.SIMPLE,
    )
    for heading in ("measure", "system"):
        table.add_column(heading, no_wrap=True)
    for heading in ("median", "unit", "ours ÷ it"):
        table.add_column(heading, justify="left" if heading == "unit" else "right")
    for line in report.lines:
        for at, (system, value) in enumerate(line.medians.items()):
            ratio = line.ratio(OURS, system) if system != OURS else None
            cells = f"{value:,.4g}", line.unit, f"{ratio:.2f}" if ratio else ""
            table.add_row("" if at else line.name, system, *cells)
        table.add_section()
    for at, (system, times) in enumerate(report.over_floor().items()):
        table.add_row("" if at else f"floor ÷ {ONE_STREAM}", system, f"{times:.2f}", "times", "")
    return table
