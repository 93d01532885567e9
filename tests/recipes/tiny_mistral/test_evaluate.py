import pytest

from recipes.tiny_mistral.corpus import Call, Row, Turn
from recipes.tiny_mistral.evaluate import Score, evaluate, held_out_rows, is_right, read_answer
from recipes.tiny_mistral.rendering import CALLS, Renderer


def test_a_perfect_answerer_scores_everything(capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluate(lambda rows: [row.answer for row in rows], 5)
    assert all(score.right == score.rows == 5 for score in scores)
    assert "| tools.call | 100.0% |" in capsys.readouterr().out


def test_a_silent_answerer_scores_nothing_and_each_miss_is_told() -> None:
    missed: list[Row] = []
    evaluate(
        lambda rows: [Turn("assistant")] * len(rows),
        4,
        ["extraction", "tools.call"],
        lambda row, _: missed.append(row),
    )
    assert len(missed) == 8


def test_the_interval_is_wilsons() -> None:
    low, high = Score("x", 90, 100).interval
    assert (round(low, 3), round(high, 3)) == (0.826, 0.945)
    assert Score("x", 100, 100).interval[1] == pytest.approx(1.0)


def test_json_is_judged_by_value_and_calls_by_name_and_arguments() -> None:
    row = Row("extraction", (Turn("user", "q"), Turn("assistant", '{"a": 1, "b": 2}')))
    assert is_right(row, Turn("assistant", '{"b":2,"a":1}'))
    assert not is_right(row, Turn("assistant", "{"))
    wanted = Turn("assistant", calls=(Call("f", {"a": 1}),))
    row = Row("tools.call", (Turn("user", "q"), wanted))
    assert is_right(row, Turn("assistant", calls=(Call("f", {"a": 1}, "any id"),)))
    assert not is_right(row, Turn("assistant", "f"))


def test_generated_ids_become_calls_or_text(renderer: Renderer) -> None:
    call = [CALLS, *renderer.encode('[{"name": "f", "arguments": {"a": "é"}}]')]
    assert read_answer(renderer, call).calls == (Call("f", {"a": "é"}),)
    assert read_answer(renderer, [CALLS, *renderer.encode('[{"name"')]).calls == ()
    assert read_answer(renderer, renderer.encode("Hello!")).text == "Hello!"


def test_held_out_rows_are_the_same_every_time() -> None:
    assert held_out_rows("chat.memory", 20) == held_out_rows("chat.memory", 20)
