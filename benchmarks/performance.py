"""The tables of docs/performance.md from what `playground bench --out` wrote into results/.

`python -m benchmarks.performance` writes them between the page's two marks. A shape and precision
may have several files, each one run: every ratio comes from within one run, the latest that has it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.bench.peers import ContinuousBatching, StaticGenerate
from playground.bench.report import ONE_STEP, ONE_STREAM, OURS
from playground.bench.served import LLAMA_SERVER, OURS_OVER_HTTP, TRANSFORMERS_SERVE

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- tables: python -m benchmarks.performance -->", "<!-- end of tables -->"

HEADINGS = {
    OURS: "playground",
    OURS_OVER_HTTP: "its API over HTTP",
    StaticGenerate.name: "`generate`",
    ContinuousBatching.name: "CB",
    TRANSFORMERS_SERVE: "`serve` CB",
    LLAMA_SERVER: "llama-server",
}
KINDS = {
    "embedded-fp32": "embedded, fp32",
    "embedded-bf16": "embedded, bf16",
    "350m-fp32": "350M, fp32",
    "350m-bf16": "350M, bf16",
}
MIXED, SIXTEEN, LONG = "32 of mixed length", "16 streams, 64 + 64", "16 streams, 512 + 64"
ADAPTERS, SWAP = "16 streams, 4 adapters", "adapter swap, 8 streams beside it"
TURN, NO_PREFIX = "first token, turn 10", "first token, turn 10, no prefix"


@dataclass(frozen=True, slots=True)
class Run:
    """One file: medians by measure and system."""

    rounds: int
    bandwidth: float
    floor: float
    units: dict[str, str]
    medians: dict[str, dict[str, float]]

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Run":
        """From `Report.as_json`."""
        return cls(
            found["rounds"],
            found["bandwidth_bytes_per_s"],
            found["floor_s"],
            {line["name"]: line["unit"] for line in found["lines"]},
            {line["name"]: line["medians"] for line in found["lines"]},
        )

    def value(self, measure: str, system: str = OURS) -> float | None:
        """None where it was not measured."""
        return self.medians.get(measure, {}).get(system)

    def ratio(self, over: tuple[str, str], under: tuple[str, str]) -> float | None:
        """Of two measures, each of one system."""
        above, below = self.value(*over), self.value(*under)
        return above / below if above and below else None

    def over_floor(self, system: str = OURS) -> float | None:
        """How many times the floor a step takes."""
        step = self.value(ONE_STEP, system)
        return step / self.floor if step else None


def systems(measure: str, over: str, under: str) -> Callable[[Run], float | None]:
    """How many times as much one system has as another."""
    return lambda run: run.ratio((measure, over), (measure, under))


GOALS: tuple[tuple[str, str, str, tuple[Callable[[Run], float | None], ...]], ...] = (
    (
        "32 of mixed length ÷ `serve` (both over HTTP)",
        "≥ 2.5",
        ".2f",
        (systems(MIXED, OURS_OVER_HTTP, TRANSFORMERS_SERVE),),
    ),
    (
        "16 streams ÷ CB",
        "≥ 1.5",
        ".2f",
        (systems(SIXTEEN, OURS, ContinuousBatching.name),),
    ),
    (
        "16 streams ÷ llama-server (both over HTTP)",
        "≥ 1.0",
        ".2f",
        (systems(SIXTEEN, OURS_OVER_HTTP, LLAMA_SERVER),),
    ),
    (
        "16 streams of 512-token prompts ÷ CB",
        "≥ 3",
        ".2f",
        (systems(LONG, OURS, ContinuousBatching.name),),
    ),
    (
        "one stream ÷ llama-server (both over HTTP)",
        "≥ 0.7",
        ".2f",
        (systems(ONE_STREAM, OURS_OVER_HTTP, LLAMA_SERVER),),
    ),
    (
        "one stream's step ÷ the bandwidth floor; llama-server's",
        "≤ 1.4",
        ".2f",
        (Run.over_floor, lambda run: run.over_floor(LLAMA_SERVER)),
    ),
    (
        "first token on turn 10 ÷ without prefix cache",
        "≤ 0.12",
        ".3f",
        (lambda run: run.ratio((TURN, OURS), (NO_PREFIX, OURS)),),
    ),
    (
        "16 streams, 4 adapters ÷ none",
        "≥ 0.88",
        ".2f",
        (lambda run: run.ratio((ADAPTERS, OURS), (SIXTEEN, OURS)),),
    ),
    ("HTTP ÷ engine, 16 streams", "≥ 0.95", ".2f", (systems(SIXTEEN, OURS_OVER_HTTP, OURS),)),
    ("adapter swap beside 8 streams, s", "", ".3f", (lambda run: run.value(SWAP),)),
)


def read_results(folder: Path = RESULTS) -> dict[str, list[Run]]:
    """The runs of each kind, the latest first."""
    return {
        kind: [
            Run.of(json.loads(path.read_text(encoding="utf-8")))
            for path in sorted(folder.glob(f"{kind}*.json"), reverse=True)
        ]
        for kind in KINDS
    }


def tables(results: dict[str, list[Run]]) -> str:
    """Goals, then every kind's figures, as Markdown."""
    parts = ["## Goals", _goals(results)]
    for kind, runs in results.items():
        parts.append(f"### {KINDS[kind]}")
        parts += [_figures(run) for run in reversed(runs)]
    return "\n\n".join(part for part in parts if part)


def _goals(results: dict[str, list[Run]]) -> str:
    rows = [["measure", "goal", *(KINDS[kind] for kind in results)], ["---"] * (2 + len(results))]
    for name, goal, form, values in GOALS:
        cells = []
        for runs in results.values():
            found = [next((v for run in runs if (v := each(run))), None) for each in values]
            cells.append("; ".join(format(value, form) for value in found if value))
        rows.append([name, goal, *cells])
    return _markdown(rows)


def _figures(run: Run) -> str:
    """One run: its measures by system."""
    present = [name for name in HEADINGS if any(name in each for each in run.medians.values())]
    rows = [["measure", *(HEADINGS[name] for name in present)], ["---"] * (1 + len(present))]
    for measure, medians in run.medians.items():
        unit = run.units[measure]
        cells = [_shown(medians[name], unit) if name in medians else "" for name in present]
        rows.append([measure, *cells])
    about = (
        f"Medians of {run.rounds}; bandwidth {run.bandwidth / 1e9:.1f} GB/s, floor of a step"
        f" {1000 * run.floor:.3g} ms."
    )
    return f"{about}\n\n{_markdown(rows)}"


def _shown(value: float, unit: str) -> str:
    if unit == "s":
        return f"{1000 * value:,.1f} ms" if value < 1 else f"{value:.2f} s"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def written(page: str) -> str:
    """The page with the tables of the results at hand."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(read_results())}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
