"""Public tasks on a report card: sentences, and the card read back."""

from dataclasses import replace
from pathlib import Path

import pytest

from playground.errors import Conflict
from playground.evaluation.harness.card import task_changes
from playground.evaluation.harness.results import HarnessResult, RowAnswer, TaskFigure
from playground.evaluation.report_card import RowResult, make_report_card, summarize
from playground.evaluation.report_card_formats import to_html, to_markdown, write_report_card
from playground.evaluation.report_card_reading import read_report_card
from playground.evaluation.task_changes import TaskChange

FIGURE = TaskFigure("gsm8k", "exact_match", "strict-match", 0.5, 0.05, True, 100, 5, "3", True)


def result(right: int) -> HarnessResult:
    figure = replace(FIGURE, value=right / 100)
    answers = [
        RowAnswer("gsm8k", row, "", "", "", {figure.name: float(row < right)}) for row in range(100)
    ]
    return HarnessResult((figure,), tuple(answers), 0, 100)


@pytest.mark.parametrize(
    ("before", "after", "change"), [(50, 30, "worse"), (50, 49, "same"), (30, 50, "better")]
)
def test_change_is_named_where_it_is_clear(before: int, after: int, change: str) -> None:
    (found,) = task_changes(result(before), result(after))
    assert found.change == change
    assert ("forgotten" in found.sentence) == (change == "worse")


def test_lower_perplexity_is_better() -> None:
    change = TaskChange("prose", "word_perplexity", 9, 0, 20.0, 10.0, 1.0, 1.0, False)
    assert change.change == "better"
    untested = replace(change, before_stderr=None, after_stderr=None)
    assert (untested.change, "nothing says" in untested.sentence) == ("not tested", True)


def test_card_keeps_tasks_when_read_back(tmp_path: Path) -> None:
    rows = [
        RowResult(1, "Q", "A", {"base": "A", "new": "B"}, {"base": {"F1": 1.0}, "new": {"F1": 0.0}})
    ]
    lanes = ("base", "new")
    card = make_report_card(summarize("Held-out rows", lanes, rows), None, lanes)
    card = replace(card, tasks=task_changes(result(50), result(30)))
    write_report_card(card, tmp_path)
    again = read_report_card(tmp_path)
    assert again is not None
    assert (to_markdown(again), to_html(again)) == (to_markdown(card), to_html(card))
    assert "Public tasks: 1 of 1 got worse: gsm8k." in to_markdown(card)
    assert "0.5 ± 0.05" in to_html(card)


def test_damaged_card_is_named(tmp_path: Path) -> None:
    assert read_report_card(tmp_path) is None
    (tmp_path / "report-card.json").write_text('{"verdict": "fine"}')
    with pytest.raises(Conflict, match=r"report-card\.json is damaged"):
        read_report_card(tmp_path)
