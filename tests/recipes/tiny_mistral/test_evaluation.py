import pytest

from recipes.tiny_mistral.corpus import CorpusCall, CorpusRow, CorpusTurn
from recipes.tiny_mistral.evaluation import (
    FamilyScore,
    evaluate,
    held_out_rows,
    is_correct,
    read_answer,
)
from recipes.tiny_mistral.rendering import CALLS, Renderer


def test_perfect_answerer_scores_everything(capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluate(lambda rows: [row.answer for row in rows], 5)
    assert all(score.correct == score.total == 5 for score in scores)
    assert "| tools.call | 100.0% |" in capsys.readouterr().out


def test_silent_answerer_misses_every_row() -> None:
    scores = evaluate(
        lambda rows: [CorpusTurn("assistant")] * len(rows), 4, ["extraction", "tools.call"]
    )
    assert sum(score.total - score.correct for score in scores) == 8


def test_interval_is_wilsons() -> None:
    low, high = FamilyScore("x", 90, 100).interval
    assert (round(low, 3), round(high, 3)) == (0.826, 0.945)
    assert FamilyScore("x", 100, 100).interval[1] == pytest.approx(1.0)


def test_json_and_calls_compare_by_value() -> None:
    row = CorpusRow(
        "extraction", (CorpusTurn("user", "q"), CorpusTurn("assistant", '{"a": 1, "b": 2}'))
    )
    assert is_correct(row, CorpusTurn("assistant", '{"b":2,"a":1}'))
    assert not is_correct(row, CorpusTurn("assistant", "{"))
    expected = CorpusTurn("assistant", calls=(CorpusCall("f", {"a": 1}),))
    row = CorpusRow("tools.call", (CorpusTurn("user", "q"), expected))
    assert is_correct(row, CorpusTurn("assistant", calls=(CorpusCall("f", {"a": 1}, "any id"),)))
    assert not is_correct(row, CorpusTurn("assistant", "f"))


def test_read_answer_gives_calls_or_text(renderer: Renderer) -> None:
    call = [CALLS, *renderer.encode('[{"name": "f", "arguments": {"a": "é"}}]')]
    assert read_answer(renderer, call).calls == (CorpusCall("f", {"a": "é"}),)
    assert read_answer(renderer, [CALLS, *renderer.encode('[{"name"')]).calls == ()
    assert read_answer(renderer, renderer.encode("Hello!")).text == "Hello!"


def test_held_out_rows_are_reproducible() -> None:
    assert held_out_rows("chat.memory", 20) == held_out_rows("chat.memory", 20)
