"""A sweep as HTML and tables. Pure functions from values to what is shown."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypedDict

from playground.evaluation.significance import PairedComparison
from playground.jobs import JobSnapshot, JobSummary, State
from playground.lab.sweeps.answers_file import SweepAnswer
from playground.lab.sweeps.harness_job import HARNESS
from playground.lab.sweeps.result import SweepResult
from playground.protocol.json_types import Json, JsonObject, object_at
from playground.ui.components.markup import render

CELL_HEADS: Final = (
    "Cell", "Score", "95% low", "95% high", "Passed", "Tokens", "ms", "USD", "Errors",
)  # fmt: skip
ANSWER_HEADS: Final = ("Row", "Row's fields", "Expected", "Answer", "Score", "Grades")
SHOWN_ANSWERS = 500
STATES: Final = MappingProxyType[State, str](
    {
        "queued": "waiting", "running": "running", "paused": "paused", "stopped": "stopped",
        "failed": "failed", "done": "done",
    }
)  # fmt: skip
PLOT_WIDTH, PLOT_ROW, CHARACTER_WIDTH = 640, 26, 6.6
LABEL_CHARACTERS = 40
SIGNIFICANT = 0.05


class Table(TypedDict):
    """The value of a Dataframe."""

    headers: list[str]
    data: list[list[Json]]


def sweep_label(sweep: JobSummary) -> str:
    """Return a sweep as the list has it."""
    return f"{sweep.name} · {STATES[sweep.state]} · {sweep.id.rpartition('-')[2]}"


def head_html(sweep: JobSnapshot, notes: Sequence[str]) -> str:
    """Return name, state and progress of a sweep."""
    figures = [f"{sweep.input.get('cells')} cells"]
    rows = sweep.input.get("rows") or sweep.result.get("rows")
    if rows:  # those of tasks are known once they are loaded
        figures[0] += f" × {rows} rows"
    if sweep.progress.total:
        asked = "requests" if sweep.kind == HARNESS else "answers"
        figures.append(f"{sweep.progress.done:,} of {sweep.progress.total:,} {asked}")
    if sweep.seconds_left is not None and sweep.state == "running":
        figures.append(f"about {sweep.seconds_left:.0f} s left")
    errors = sweep.result.get("errors")
    if errors:
        figures.append(f"{errors} answers failed")
    return render(
        "finetune/job.html",
        job=sweep,
        state=STATES[sweep.state],
        done=sweep.progress.done,
        total=sweep.progress.total,
        figures=figures,
        remarks=[*sweep.notes, *notes],
    )


def cells_table(cells: Sequence[JsonObject]) -> Table:
    """Return the cells' figures, the best first."""
    rows = [
        [
            cell["label"], *_estimate(cell), cell["passed"], cell["completion_tokens"],
            cell["ms_median"], cell["cost_usd"], cell["errors"],
        ]
        for cell in sorted(cells, key=lambda cell: -(_estimate(cell)[0] or 0.0))
    ]  # fmt: skip
    return {"headers": list(CELL_HEADS), "data": rows}


def _estimate(cell: JsonObject) -> list[float | None]:
    score = object_at(cell, "score")
    figures = (score.get(name) for name in ("mean", "low", "high"))
    return [round(f, 3) if isinstance(f, (int, float)) else None for f in figures]


def plot_html(cells: Sequence[JsonObject]) -> str:
    """Return each cell's score with its interval, as SVG."""
    drawn = []
    longest = max((len(str(cell["label"])) for cell in cells), default=0)
    left = 24 + CHARACTER_WIDTH * min(longest, LABEL_CHARACTERS)

    def place(share: float) -> float:
        return left + share * (PLOT_WIDTH - left - 44)

    for number, cell in enumerate(cells):
        mean, low, high = _estimate(cell)
        if mean is not None and low is not None and high is not None:
            label = str(cell["label"])
            short = label if len(label) <= LABEL_CHARACTERS else f"{label[: LABEL_CHARACTERS - 1]}…"
            drawn.append(
                {
                    "label": label, "short": short, "y": PLOT_ROW * number + PLOT_ROW / 2,
                    "x": place(mean), "low": place(low), "high": place(high), "mean": f"{mean:.2f}",
                }
            )  # fmt: skip
    if not drawn:
        return ""
    ticks = [(place(share / 4), f"{share / 4:g}") for share in range(5)]
    return render(
        "sweeps/plot.html",
        cells=drawn,
        ticks=ticks,
        width=PLOT_WIDTH,
        left=left,
        height=PLOT_ROW * len(cells),
    )


def answers_table(result: SweepResult, cell: int) -> Table:
    """Return a cell's answers, the worst first."""
    answers = sorted(result.of_cell(cell), key=lambda answer: (result.score(answer), answer.row))
    rows: list[list[Json]] = []
    for answer in answers[:SHOWN_ANSWERS]:
        row = result.sweep.rows[answer.row]
        fields = {
            name: value
            for name, value in row.variables.items()
            if name not in ("expected", "messages", "tools", "expected_calls")
        }
        shown = "\n".join(f"{name}: {_text(value)}" for name, value in fields.items())
        if row.messages:
            shown = "\n".join(filter(None, (row.messages[-1].content, shown)))
        rows.append(
            [answer.row + 1, shown, _expected(row.expected, row.expected_calls),
             answer_text(answer), round(result.score(answer), 3), grades_text(answer)]
        )  # fmt: skip
    return {"headers": list(ANSWER_HEADS), "data": rows}


def _expected(text: str | None, calls: Sequence[object]) -> str:
    return "\n".join([text or "", *map(_call, calls)]).strip()


def _call(call: object) -> str:
    name, arguments = getattr(call, "name", ""), getattr(call, "arguments", "")
    return f"{name}({arguments})"


def answer_text(answer: SweepAnswer) -> str:
    """Return an answer as a cell of a table shows it."""
    calls = [f"{call['name']}({call['arguments']})" for call in answer.calls]
    return "\n".join(filter(None, (answer.error and f"Error: {answer.error}", answer.text, *calls)))


def grades_text(answer: SweepAnswer) -> str:
    """Return each grader's score, with the reason."""
    lines = []
    for name, score in answer.scores.items():
        reason = answer.reasons.get(name, "")
        lines.append(f"{name}: {score:.2g}" + (f" ({reason})" if reason else ""))
    return "\n".join(lines)


def comparison_html(first: str, second: str, found: PairedComparison) -> str:
    """Return whether one cell is better than another."""
    return render(
        "sweeps/comparison.html",
        first=first,
        second=second,
        found=found,
        significant=found.p_value < SIGNIFICANT,
        p="< 0.001" if found.p_value < 0.001 else f"= {found.p_value:.3f}",
    )


def graders_html(graders: Sequence[Mapping[str, object]]) -> str:
    """Return the graders that were added."""
    shown = [
        (
            str(grader["type"]).replace("_", " "),
            ", ".join(f"{key} {_text(value)}" for key, value in grader.items() if key != "type"),
        )
        for grader in graders
    ]
    return render("sweeps/graders.html", graders=shown)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
