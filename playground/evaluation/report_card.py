"""The report card: base and adapters on the same rows, with intervals and a verdict.

Data, and three ways to write it: JSON, Markdown, a self-contained HTML page. Knows no model.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal

from playground.evaluation.metrics import Estimate, difference, estimate

Verdict = Literal["promote", "look closer", "do not promote"]
PRIMARY = ("exact match", "same JSON", "tool call")
"""Measures that say that an answer is right; a row has one of them."""
ALLOWED_REGRESSION = 0.02
BROKEN_REGRESSION = 0.10
WORST = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """One row's answers: by lane, in the order of the lanes."""

    line: int
    question: str
    wanted: str
    answers: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Part:
    """One set of rows: held-out ones, or the regression set. Estimates by lane and measure."""

    name: str
    rows: int
    measures: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Estimate]
    """The adapter minus the lane it is compared with, row by row."""
    worst: tuple[Answered, ...]


@dataclass(frozen=True, slots=True)
class ReportCard:
    """``lanes``: the adapter last, before it what it is compared with."""

    lanes: tuple[str, ...]
    parts: tuple[Part, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    made_of: Mapping[str, Any]


def part(
    name: str,
    lanes: Sequence[str],
    answered: Sequence[Answered],
    losses: Mapping[str, Sequence[float]] | None = None,
) -> Part:
    """Sum up rows. ``losses`` are each row's mean loss by lane, in nats a token."""
    values: dict[str, dict[str, list[float]]] = {lane: {} for lane in lanes}
    for row in answered:
        for lane in lanes:
            for measure, value in row.scores[lane].items():
                values[lane].setdefault(measure, []).append(value)
            right = [row.scores[lane][each] for each in PRIMARY if each in row.scores[lane]]
            values[lane].setdefault("right", []).extend(right)
            words = float(len(row.answers[lane].split()))
            values[lane].setdefault("answer length, words", []).append(words)
    for lane, each in (losses or {}).items():
        values[lane]["loss"] = list(each)
        values[lane]["perplexity"] = [math.exp(min(loss, 700.0)) for loss in each]
    other, new = lanes[-2], lanes[-1]
    return Part(
        name=name,
        rows=len(answered),
        measures={
            lane: {measure: estimate(each) for measure, each in of_lane.items()}
            for lane, of_lane in values.items()
        },
        differences={
            measure: difference(values[new][measure], values[other][measure])
            for measure in values[new]
            if measure in values[other]
        },
        worst=tuple(sorted(answered, key=lambda row: _goodness(row, new, other))[:WORST]),
    )


def _goodness(row: Answered, new: str, other: str) -> tuple[float, float]:
    mine, theirs = sum(row.scores[new].values()), sum(row.scores[other].values())
    return mine - theirs, mine


def judge(
    held: Part, regression: Part | None, lanes: Sequence[str], *, trained: bool = False
) -> ReportCard:
    """The card with its verdict: what a person would do with these numbers. Rows that the adapter
    was ``trained`` on cannot recommend it."""
    reasons = []
    gain = held.differences["right"]
    other = lanes[-2]
    if gain.rows == 0:
        gain = held.differences.get("F1", gain)
    better, worse = gain.low > 0, gain.high < 0 or not gain.mean > 0
    rows = f"{gain.rows} {'of its own' if trained else 'held-out'} rows"
    reasons.append(
        f"right answers: {_signed(gain)} against {other} on {rows}"
        + ("" if better or worse else ", which may be chance")
    )
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
        verdict = "promote" if better and allowed and not trained else "look closer"
    if trained:
        reasons.append("no rows were held out: these answers may be learned by heart")
    parts = (held,) if regression is None else (held, regression)
    return ReportCard(tuple(lanes), parts, verdict, tuple(reasons), {})


def _signed(change: Estimate) -> str:
    points, low, high = (100 * each for each in (change.mean, change.low, change.high))
    return f"{points:+.1f} points ({low:+.1f} to {high:+.1f})"


def to_json(card: ReportCard) -> str:
    """Every number, as JSON; what is no number is null."""
    return json.dumps(_without_nan(asdict(card)), indent=1, ensure_ascii=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cell(measure: str, value: Estimate | None) -> str:
    """How a number is written: shares in percent, with their interval."""
    if value is None or not value.rows:
        return "–"
    if measure in ("loss", "perplexity", "answer length, words"):
        return f"{value.mean:.3g} ({value.low:.3g} to {value.high:.3g})"
    return f"{100 * value.mean:.1f}% ({100 * value.low:.1f} to {100 * value.high:.1f})"


def to_markdown(card: ReportCard) -> str:
    """The card as a page of Markdown."""
    lines = [f"# Report card: {card.lanes[-1]}", "", f"**Verdict: {card.verdict}.**", ""]
    lines += [f"- {reason}" for reason in card.reasons] + [""]
    for each in card.parts:
        lines += [f"## {each.name} ({each.rows} rows)", ""]
        lines += [f"| measure | {' | '.join(card.lanes)} |", "|---" * (len(card.lanes) + 1) + "|"]
        for measure in each.measures[card.lanes[-1]]:
            cells = (cell(measure, each.measures[lane].get(measure)) for lane in card.lanes)
            lines.append(f"| {measure} | {' | '.join(cells)} |")
        lines += ["", "### Worst answers", ""]
        for row in each.worst:
            lines += [f"**{_inline(row.question)}**", "", f"- wanted: {_inline(row.wanted)}"]
            lines += [f"- {lane}: {_inline(row.answers[lane])}" for lane in card.lanes] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _inline(text: str) -> str:
    return " ".join(text.split()) or "(nothing)"


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 6px 10px;
  border-bottom: 1px solid #8883; vertical-align: top; }
.verdict { font-size: 1.2rem; padding: 10px 14px; border-radius: 8px; border: 1px solid; }
.promote { background: #16a34a22; border-color: #16a34a; }
.look { background: #d9770622; border-color: #d97706; }
.do { background: #dc262622; border-color: #dc2626; }
svg { width: 100%; height: auto; } .scroll { overflow-x: auto; }
"""
BAR_COLOURS = ("#94a3b8", "#60a5fa", "#ea580c")


def to_html(card: ReportCard) -> str:
    """A page with plots, self-contained."""
    kind = card.verdict.split()[0]
    body = [
        f"<h1>Report card: {escape(card.lanes[-1])}</h1>",
        f'<p class="verdict {kind}">{escape(card.verdict.capitalize())}</p><ul>',
        *(f"<li>{escape(reason)}</li>" for reason in card.reasons),
        "</ul>",
    ]
    for each in card.parts:
        body += [f"<h2>{escape(each.name)} ({each.rows} rows)</h2>", plot(card, each)]
        head = "".join(f"<th>{escape(lane)}</th>" for lane in card.lanes)
        body.append(f'<div class="scroll"><table><tr><th>measure</th>{head}</tr>')
        for measure in each.measures[card.lanes[-1]]:
            cells = "".join(
                f"<td>{cell(measure, each.measures[lane].get(measure))}</td>" for lane in card.lanes
            )
            body.append(f"<tr><td>{escape(measure)}</td>{cells}</tr>")
        body.append("</table></div><h3>Worst answers</h3>")
        body.append(f'<div class="scroll"><table><tr><th>question</th><th>wanted</th>{head}</tr>')
        for row in each.worst:
            texts = (row.question, row.wanted, *(row.answers[lane] for lane in card.lanes))
            body.append(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>")
        body.append("</table></div>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Report card</title><style>{STYLE}</style>{''.join(body)}</html>\n"
    )


def plot(card: ReportCard, shown: Part) -> str:
    """Bars with intervals of every measure that is a share, as SVG."""
    measures = [
        name
        for name in shown.measures[card.lanes[-1]]
        if name not in ("loss", "perplexity", "answer length, words")
        and shown.measures[card.lanes[-1]][name].rows
    ]
    rows, height = [], 0
    for measure in measures:
        rows.append(f'<text x="0" y="{height + 14}" font-weight="600">{escape(measure)}</text>')
        height += 20
        for at, lane in enumerate(card.lanes):
            value = shown.measures[lane][measure]
            colour = BAR_COLOURS[at if at < len(card.lanes) - 1 else -1]
            middle, scale = height + 8, 4.0
            rows.append(
                f'<rect x="160" y="{height + 2}" width="{100 * value.mean * scale:.1f}" '
                f'height="12" rx="3" fill="{colour}"/>'
                f'<line x1="{160 + 100 * value.low * scale:.1f}" y1="{middle}" '
                f'x2="{160 + 100 * value.high * scale:.1f}" y2="{middle}" stroke="currentColor"/>'
                f'<text x="150" y="{height + 13}" text-anchor="end">{escape(lane)[:20]}</text>'
                f'<text x="570" y="{height + 13}">{100 * value.mean:.1f}%</text>'
            )
            height += 18
        height += 8
    return (
        f'<svg viewBox="0 0 640 {height}" font-size="12" fill="currentColor" role="img" '
        f'aria-label="Shares by measure">{"".join(rows)}</svg>'
    )
