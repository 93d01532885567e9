"""The report card: an adapter is told from its base, and a forgetful one is not promoted."""

import json
from pathlib import Path

import pytest

from playground.errors import InvalidSettings
from playground.evaluation.judge import Judge
from playground.evaluation.metrics import Prediction, difference, estimate, f1, score
from playground.evaluation.report_card import RowResult, make_report_card, summarize
from playground.evaluation.report_card_formats import (
    to_html,
    to_json,
    to_markdown,
    write_report_card,
)
from playground.evaluation.run import Grading, evaluate
from playground.models.loaded import LoadedModel
from playground.protocol import ToolCall
from playground.store.report_card_files import report_cards_in
from playground.studio.evaluation_rows import evaluation_sets
from tests.trained import FACTS


def rows_file(path: Path, pairs: list[tuple[str, str]]) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a in pairs
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow
def test_report_card_shows_gain_and_regression(
    loaded: LoadedModel, session_adapter: Path, tmp_path: Path
) -> None:
    file = rows_file(tmp_path / "facts.jsonl", list(FACTS.items()))
    general = rows_file(
        tmp_path / "general.jsonl",
        [(f"What is the capital of {c}?", f"The capital of {c} is {t}.")
         for c, t in (("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"))],
    )  # fmt: skip
    judge = Judge("embedded", "The shorter answer is better.")
    sets = evaluation_sets(loaded, tmp_path, file, general)
    card = evaluate(loaded, [session_adapter], sets, Grading("euros", judge))
    held, kept = card.parts
    assert held.measures["base"]["right"].mean == 0
    assert held.measures[card.lanes[-1]]["right"].mean == 1
    assert held.measures[card.lanes[-1]]["loss"].mean < held.measures["base"]["loss"].mean
    assert held.measures[card.lanes[-1]]["regex"].mean == 1
    preferred = [held.measures[lane]["judge prefers it"].mean for lane in card.lanes]
    assert sum(preferred) == pytest.approx(1)
    lost = kept.differences["right"].mean
    assert card.verdict == ("promote" if lost >= -0.02 else "do not promote")
    assert json.loads(to_json(card))["lanes"] == list(card.lanes)
    assert "The Zolpar costs 41 euros." in to_markdown(card)
    assert "<svg" in to_html(card)


def row_results(base: float, new: float, rows: int = 40) -> list[RowResult]:
    return [
        RowResult(at, "q", "w", {"base": "", "new": ""},
                  {"base": {"exact match": float(at < base * rows)},
                   "new": {"exact match": float(at < new * rows)}})
        for at in range(rows)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("held", "general", "verdict"),
    [
        ((0.1, 0.9), (0.9, 0.9), "promote"),
        ((0.1, 0.9), (0.9, 0.85), "look closer"),
        ((0.1, 0.9), (0.9, 0.5), "do not promote"),
        ((0.5, 0.5), (0.9, 0.9), "do not promote"),
        ((0.5, 0.55), (0.9, 0.9), "look closer"),
        ((0.1, 0.9), None, "look closer"),
    ],
)
def test_verdict_follows_gain_and_regression(
    held: tuple[float, float], general: tuple[float, float] | None, verdict: str
) -> None:
    lanes = ("base", "new")
    regression = summarize("General", lanes, row_results(*general)) if general else None
    section = summarize("Held", lanes, row_results(*held))
    assert make_report_card(section, regression, lanes).verdict == verdict


@pytest.mark.parametrize(
    ("wanted", "score", "metric"),
    [
        ("Gate 4", {"exact match": 0.0, "F1": 0.9}, "exact"),
        ("The gate opens at six in the morning.", {"exact match": 0.0, "F1": 0.9}, "F1"),
        ('{"gate": 4}', {"same JSON": 1.0, "valid JSON": 1.0}, "JSON"),
        ("call", {"tool call": 1.0}, "JSON"),
        ("Gate 4", {"exact match": 0.0, "F1": 0.9, "judge prefers it": 1.0}, "judge"),
    ],
)
def test_verdict_metric_fits_rows(wanted: str, score: dict[str, float], metric: str) -> None:
    lanes = ("base", "new")
    low = dict.fromkeys(score, 0.0)
    rows = [RowResult(at, "q", wanted, dict.fromkeys(lanes, ""), {"base": low, "new": score})
            for at in range(20)]  # fmt: skip
    section = summarize("Held", lanes, rows)
    assert section.metric == metric
    card = make_report_card(section, summarize("General", lanes, row_results(1, 1)), lanes)
    assert card.reasons[1] == f"decided by {metric}, as {section.metric_reason}"
    is_better = metric != "exact"  # right answers in other words count, unless they are short
    assert card.verdict == ("promote" if is_better else "do not promote")
    asked = make_report_card(section, None, lanes, metric="exact")
    assert asked.reasons[1] == "decided by exact, as was asked for"


def test_lower_loss_is_better() -> None:
    lanes = ("base", "new")
    losses = {"base": [2.0] * 20, "new": [0.5] * 20}
    section = summarize("Held", lanes, row_results(0, 0, 20), losses)
    card = make_report_card(section, None, lanes, metric="loss")
    assert card.reasons[0].startswith("loss of the wanted answers: lower by 1.5 (1.5 to 1.5)")
    assert card.verdict == "look closer"


def call(arguments: str, name: str = "f") -> ToolCall:
    return ToolCall("abcdefghi", name, arguments)


@pytest.mark.parametrize(
    ("got", "wanted", "tools", "scores"),
    [
        (Prediction("The Answer, is 42."), Prediction("answer is 42"), False,
         {"exact match": 1, "F1": 1, "number": 1}),
        (Prediction("so 1,200 #### 40"), Prediction("#### 42"), False,
         {"exact match": 0, "F1": 0, "number": 0}),
        (Prediction('{"b": 1, "a": 2}'), Prediction('{"a": 2, "b": 1}'), False,
         {"valid JSON": 1, "same JSON": 1}),
        (Prediction('{"a": '), Prediction('{"a": 2}'), False, {"valid JSON": 0, "same JSON": 0}),
        (Prediction("", (call('{"x": 1, "y": 2}'),)),
         Prediction("", (call('{"y":2,"x":1}'),)), True, {"tool call": 1}),
        (Prediction("", (call('{"x": 1}'),)), Prediction("", (call('{"x": 1}', "g"),)), True,
         {"tool call": 0}),
        (Prediction("", (call("{}"),)), Prediction("No."), True,
         {"declines tools": 0, "exact match": 0, "F1": 0}),
    ],
)  # fmt: skip
def test_score_by_wanted_answer(
    got: Prediction, wanted: Prediction, tools: bool, scores: dict[str, float]
) -> None:
    assert score(got, wanted, tools=tools) == scores


def test_f1_shared_words() -> None:
    assert f1("red green", "green blue") == pytest.approx(0.5)


def test_estimate_seeded_interval_holds_mean() -> None:
    values = [0.0, 1.0, 1.0, 1.0] * 10
    found = estimate(values)
    assert found == estimate(values)
    assert found.low < found.mean < found.high
    assert difference(values, values).high == 0


def test_report_card_html_escapes_rows(tmp_path: Path) -> None:
    lanes = ("base", "<new>")
    scores = {lane: {"exact match": 0.0} for lane in lanes}
    rows = [RowResult(1, "<b>q</b>", "a & b", dict.fromkeys(lanes, "<script>"), scores)]
    card = make_report_card(summarize("Held", lanes, rows), None, lanes)
    paths = write_report_card(card, tmp_path)
    assert report_cards_in(tmp_path) == paths
    html = paths["html"].read_text()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert "a & b" in paths["md"].read_text()


@pytest.mark.slow
def test_evaluation_rows_skip_unfit(loaded: LoadedModel, tmp_path: Path) -> None:
    file = rows_file(tmp_path / "rows.jsonl", [("Short?", "Yes."), ("Long? " * 400, "No.")])
    (rows,) = [each.rows for each in evaluation_sets(loaded, tmp_path, file, tmp_path / "none", 64)]
    assert [(row.question, row.answer.content) for row in rows] == [("Short?", "Yes.")]
    assert any(label >= 0 for label in rows[0].labels)
    with pytest.raises(InvalidSettings, match="no row with an answer"):
        evaluation_sets(loaded, tmp_path, file, None, 2)
