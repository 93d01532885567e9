"""The report card: base and adapters on the same rows, with intervals and a verdict.

Data only; `playground.evaluation.report_card_formats` writes it. Knows no model. A *lane* is one of
the compared models: the base first, the adapter that the card is about last.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Literal

from playground.evaluation.metrics import Estimate, difference, estimate
from playground.evaluation.rows import SetKind
from playground.evaluation.task_changes import TaskChange, what_was_forgotten


class EvaluationStopped(Exception):
    """Whoever wanted a report card wants it no longer."""


Verdict = Literal["promote", "look closer", "do not promote"]
PRIMARY = ("exact match", "same JSON", "tool call")
"""Metrics that say whether an answer is right; a row has one of them."""
Metric = Literal["exact", "F1", "JSON", "judge", "loss"]
"""What a verdict may be decided by; ``JSON`` is equality of JSON and of tool calls."""
METRIC_FIELDS: Mapping[Metric, str] = MappingProxyType(
    {
        "exact": "right",
        "F1": "F1",
        "JSON": "right",
        "judge": "judge prefers it",
        "loss": "loss",
    }
)
METRIC_NAMES: Mapping[Metric, str] = MappingProxyType(
    {
        "exact": "right answers",
        "F1": "words shared with the wanted answers (F1)",
        "JSON": "equal JSON and calls",
        "judge": "preferred by the judge",
        "loss": "loss of the wanted answers",
    }
)
SHORT_ANSWER_WORDS = 3
"""Answers of more words are seldom given word for word, so that exact match says little of them."""
UNBOUNDED = ("loss", "perplexity", "answer length, words")
"""Metrics that are not shares between 0 and 1."""
ALLOWED_REGRESSION = 0.02
BROKEN_REGRESSION = 0.10
WORST_ROWS = 10
NO_DIFFERENCE = Estimate(float("nan"), float("nan"), float("nan"), 0)
MAX_EXPONENT = 700.0
"""The exponential of more overflows a float."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row's answers and scores, by lane."""

    line: int
    question: str
    wanted: str
    answers: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class ReportSection:
    """One evaluation set. Estimates by lane and metric.

    ``differences`` are those of the last lane minus the one before it, row by row; ``worst`` are
    the rows where the last lane lost most against it. ``metric`` fits these rows best.
    """

    name: str
    rows: int
    measures: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Estimate]
    worst: tuple[RowResult, ...]
    metric: Metric = "exact"
    metric_reason: str = ""
    kind: SetKind = "held out"

    def score(self, lane: str) -> float | None:
        """Return a lane's mean by the metric that fits these rows; None if it is not a share."""
        value = self.measures[lane].get(METRIC_FIELDS[self.metric])
        return None if self.metric == "loss" or value is None or not value.rows else value.mean


AdviceKind = Literal[
    "loss still falling",
    "learning rate too low",
    "too few epochs",
    "not learned",
    "held-out loss rising",
    "system prompt",
    "general rows",
]


@dataclass(frozen=True, slots=True)
class Advice:
    """What went wrong in a training, and what to change in the next one."""

    kind: AdviceKind
    problem: str
    change: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.change}"


@dataclass(frozen=True, slots=True)
class ReportCard:
    """``lanes``: the adapter last, before it what it is compared with. ``made_of`` says which
    weights and settings the figures come from, ``tasks`` are public ones, before and after."""

    lanes: tuple[str, ...]
    parts: tuple[ReportSection, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    made_of: Mapping[str, object] = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()
    tasks: tuple[TaskChange, ...] = ()

    @property
    def forgotten(self) -> str:
        """What became of the public tasks, in a sentence; empty where none was asked."""
        return what_was_forgotten(self.tasks)

    def part(self, kind: SetKind) -> ReportSection | None:
        """Return the section of this kind, if there is one."""
        return next((part for part in self.parts if part.kind == kind), None)


def summarize(
    name: str,
    lanes: Sequence[str],
    results: Sequence[RowResult],
    losses: Mapping[str, Sequence[float]] | None = None,
    kind: SetKind = "held out",
) -> ReportSection:
    """Return the section of some rows. ``losses``: each row's mean loss by lane, nats per token."""
    values = {lane: _values(lane, results) for lane in lanes}
    for lane, row_losses in (losses or {}).items():
        values[lane]["loss"] = list(row_losses)
        values[lane]["perplexity"] = [math.exp(min(loss, MAX_EXPONENT)) for loss in row_losses]
    other, new = lanes[-2], lanes[-1]
    metric, why = choose_metric(results, new)
    return ReportSection(
        metric=metric,
        metric_reason=why,
        kind=kind,
        name=name,
        rows=len(results),
        measures={
            lane: {metric: estimate(numbers) for metric, numbers in of_lane.items()}
            for lane, of_lane in values.items()
        },
        differences={
            metric: difference(values[new][metric], values[other][metric])
            for metric in values[new]
            if metric in values[other]
        },
        worst=tuple(sorted(results, key=lambda row: _gain(row, new, other))[:WORST_ROWS]),
    )


def choose_metric(results: Sequence[RowResult], lane: str) -> tuple[Metric, str]:
    """Return the metric that fits these rows, and why."""
    scores = [row.scores[lane] for row in results]
    if any("judge prefers it" in each for each in scores):
        return "judge", "a judge was asked"
    structured = sum("tool call" in each or "same JSON" in each for each in scores)
    if structured * 2 > len(scores):
        return "JSON", f"{structured} of {len(scores)} wanted answers are JSON or calls"
    texts = [row.wanted for row, each in zip(results, scores, strict=True) if "F1" in each]
    if not texts:
        if any(name in each for each in scores for name in PRIMARY):
            return "exact", "it is what these rows have"
        return "loss", "no wanted answer can be compared"
    words = median(len(text.split()) for text in texts)
    if words <= SHORT_ANSWER_WORDS:
        return "exact", f"the wanted answers are short ({words:g} words)"
    return "F1", f"the wanted answers are texts ({words:g} words), and other words may be right too"


def _values(lane: str, results: Sequence[RowResult]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for row in results:
        scores = row.scores[lane]
        for metric, value in scores.items():
            values.setdefault(metric, []).append(value)
        right = [scores[metric] for metric in PRIMARY if metric in scores]
        values.setdefault("right", []).extend(right)
        words = float(len(row.answers[lane].split()))
        values.setdefault("answer length, words", []).append(words)
    return values


def _gain(row: RowResult, new: str, other: str) -> tuple[float, float]:
    new_sum, other_sum = sum(row.scores[new].values()), sum(row.scores[other].values())
    return new_sum - other_sum, new_sum


def make_report_card(
    held_out: ReportSection,
    regression: ReportSection | None,
    lanes: Sequence[str],
    *,
    seen_in_training: bool = False,
    num_trained: int = 0,
    metric: Metric | None = None,
) -> ReportCard:
    """Return the card with its verdict: what a person would do with these numbers.

    Rows that the adapter has ``seen_in_training`` cannot recommend it; ``num_trained`` of them were
    left out of the held-out ones. ``metric`` decides in place of the one that fits the rows.
    """
    chosen = metric or held_out.metric
    why = "as was asked for" if metric else f"as {held_out.metric_reason}"
    gain = held_out.differences.get(METRIC_FIELDS[chosen], NO_DIFFERENCE)
    if chosen == "loss":
        gain = Estimate(-gain.mean, -gain.high, -gain.low, gain.rows)
    better, worse = gain.low > 0, gain.high < 0 or not gain.mean > 0
    rows = f"{gain.rows} {'of its own' if seen_in_training else 'held-out'} rows"
    reasons = [
        f"{METRIC_NAMES[chosen]}: {_gained(gain, chosen)} against {lanes[-2]} on {rows}"
        + ("" if better or worse else ", which may be chance"),
        f"decided by {chosen}, {why}",
    ]
    broken = allowed = False
    if regression is None:
        reasons.append("no regression set was given: what it forgot is not known")
    else:
        lost = regression.differences["right"]
        allowed = lost.mean >= -ALLOWED_REGRESSION
        broken = lost.mean < -BROKEN_REGRESSION
        reasons.append(f"general rows: {_signed(lost)} on {lost.rows}")
    if worse or broken:
        verdict: Verdict = "do not promote"
    else:
        recommended = better and allowed and not seen_in_training
        verdict = "promote" if recommended else "look closer"
    if seen_in_training:
        reasons.append("it was trained on all of these rows: it may know the answers by heart")
    if num_trained:
        reasons.append(f"{num_trained} rows are left out, as it was trained on them")
    sections = (held_out,) if regression is None else (held_out, regression)
    return ReportCard(tuple(lanes), sections, verdict, tuple(reasons))


def _gained(gain: Estimate, metric: Metric) -> str:
    if metric == "loss":
        return f"lower by {gain.mean:.3g} ({gain.low:.3g} to {gain.high:.3g})"
    return _signed(gain)


def _signed(change: Estimate) -> str:
    points, low, high = (100 * value for value in (change.mean, change.low, change.high))
    return f"{points:+.1f} points ({low:+.1f} to {high:+.1f})"
