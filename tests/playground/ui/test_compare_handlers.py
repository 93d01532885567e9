"""The Compare tab's handlers: two lanes, blind votes, edits and the rows that come of them."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from playground.errors import InvalidRequest, ModelLoadError, UnknownModel
from playground.protocol import Message, Request
from playground.store import Feedback, NewAnswer
from playground.ui.compare.events import AnswersUpdate, CompareHandlers, Comparison
from playground.ui.compare.layout import input_name
from playground.ui.components.binding import UNCHANGED
from tests.playground.ui.helpers import changed, drain, drain_failing, page_request, scripted


def answers(request: Request) -> Iterable[str]:
    return ["From ", request.model]


@pytest.fixture
def tab(feedback: Feedback) -> CompareHandlers:
    return CompareHandlers(scripted(answers, "left", "right"), feedback)


def settings(*models: str, **changes: str | float | None) -> dict[str, str | float | None]:
    values: dict[str, str | float | None] = {}
    for lane, model in enumerate(models or ("left", "right")):
        lane_values = {"system": None, "temperature": 0.0, "max_tokens": 64.0, "seed": None}
        for name, value in ({"model": model} | lane_values | changes).items():
            values[input_name(lane, name)] = value
    return values


async def compared(tab: CompareHandlers, *, blind: bool) -> tuple[AnswersUpdate, Comparison]:
    last = (await drain(tab.ask("Who?", blind, **settings())))[-1]
    assert isinstance(last.comparison, Comparison)
    return last, last.comparison


async def test_both_lanes_answer_and_are_kept(tab: CompareHandlers, feedback: Feedback) -> None:
    first, *_, last = await drain(tab.ask("Who?", False, **settings(seed="7")))
    assert [side.label for side in changed(first.sides)] == [
        "<h3>A <span>left</span></h3>",
        "<h3>B <span>right</span></h3>",
    ]
    assert (first.comparison, changed(first.stop).visible, changed(first.question).value) == (
        None,
        True,
        "",
    )
    left, right = changed(last.sides)
    assert "From left" in str(left.text)
    assert "From right" in str(right.text)
    assert "seed 7" in str(left.answer)
    assert (changed(last.vote_row).visible, changed(last.stop).visible) == (True, False)
    assert changed(left.edit).visible is True
    assert changed(last.question).interactive is True


async def test_a_blind_comparison_reveals_models_after_the_vote(
    tab: CompareHandlers, feedback: Feedback
) -> None:
    updates = await drain(tab.ask("Who?", True, **settings()))
    for side in changed(updates[0].sides):
        assert "left" not in str(side.label)
        assert "right" not in str(side.label)
    last = updates[-1]
    assert all("seed" not in str(side.answer) for side in changed(last.sides))
    comparison = last.comparison
    assert isinstance(comparison, Comparison)
    told = tab.vote("a", comparison)
    shown = comparison.models[comparison.order[0]]
    assert shown in str(told.sides[0].label)
    assert "seed" in str(told.sides[0].answer)
    assert f"From {shown}" in str(changed(last.sides)[0].text)
    assert f"Saved: A is better: {shown}" in told.verdict
    assert feedback.wins()[shown]["won"] == 1


@pytest.mark.parametrize(("vote", "said"), [("tie", "both equally good"), ("bad", "both bad")])
async def test_a_vote_may_prefer_neither(tab: CompareHandlers, vote: str, said: str) -> None:
    _, comparison = await compared(tab, blind=False)
    assert said in tab.vote(vote, comparison).verdict  # type: ignore[arg-type]


def test_a_vote_without_answers_is_refused(tab: CompareHandlers) -> None:
    for comparison in (None, Comparison((0, 1), ("left", "right"))):
        with pytest.raises(InvalidRequest, match="ask something first"):
            tab.vote("a", comparison)
        with pytest.raises(InvalidRequest, match="ask something first"):
            tab.save_edit(0, "better", comparison)


@pytest.mark.parametrize("side", [0, 1])
async def test_an_edit_becomes_a_preference(
    tab: CompareHandlers, feedback: Feedback, side: int
) -> None:
    _, comparison = await compared(tab, blind=True)
    opened = tab.begin_edit(side, comparison)
    shown = comparison.models[comparison.order[side]]
    assert changed(opened.sides[side].edited).value == f"From {shown}"
    assert opened.sides[1 - side].edited is UNCHANGED
    saved = tab.save_edit(side, "A better one.", comparison)
    assert changed(saved.sides[side].save).visible is False
    assert "Saved: a better answer" in str(saved.verdict)
    assert feedback.counts()["edits"] == 1
    assert "A better one." in json.dumps(feedback.preference_rows())


async def test_votes_are_counted_and_offered_as_files(tab: CompareHandlers) -> None:
    empty = tab.score()
    assert "0 votes" in empty.score
    assert empty.preferences.interactive is False
    _, comparison = await compared(tab, blind=False)
    tab.vote("b", comparison)
    score = tab.score()
    assert "1 vote, 0 edits, 0 thumbs" in score.score
    assert "<tr><td>right</td><td>1</td><td>0</td><td>0</td></tr>" in score.score
    assert score.preferences.interactive is True
    (row,) = Path(score.preferences.value["path"]).read_text().splitlines()
    assert "From right" in row


async def test_thumbs_are_offered_as_a_file(tab: CompareHandlers, feedback: Feedback) -> None:
    assert tab.score().thumbs.interactive is False
    for text, up in (("Rome.", True), ("Milan.", False)):
        feedback.rate((Message("user", "Capital?"),), NewAnswer("left", text), up=up)
    thumbs = tab.score().thumbs
    assert thumbs.interactive is True
    rows = [json.loads(line) for line in Path(thumbs.value["path"]).read_text().splitlines()]
    assert [row["label"] for row in rows] == [True, False]


async def test_a_lane_that_fails_shows_why_and_nothing_is_voted_on(feedback: Feedback) -> None:
    def half(request: Request) -> Iterable[str]:
        if request.model == "left":
            raise ModelLoadError("the adapter <b> is gone")
        return answers(request)

    tab = CompareHandlers(scripted(half, "left", "right"), feedback)
    last = (await drain(tab.ask("Who?", False, **settings())))[-1]
    left, right = changed(last.sides)
    assert "the adapter &lt;b&gt; is gone" in str(left.answer)
    assert "From right" in str(right.text)
    assert changed(last.vote_row).visible is False
    with pytest.raises(InvalidRequest):
        tab.vote("b", changed(last.comparison))


async def test_an_unknown_model_is_refused(tab: CompareHandlers) -> None:
    _, error = await drain_failing(tab.ask("Who?", False, **settings("left", "gone")))
    assert isinstance(error, UnknownModel)
    assert tab.reset_inputs().question.interactive is True


async def test_an_empty_question_is_not_asked(tab: CompareHandlers) -> None:
    assert await drain(tab.ask(" ", False, **settings())) == []


async def test_lane_is_shown_as_code(tab: CompareHandlers) -> None:
    _, comparison = await compared(tab, blind=False)
    last = await tab.code(page_request(), 1, "", comparison, **settings(seed="7"))
    assert 'model="right"' in str(last.python)
    assert '"Who?"' in str(last.python)
    assert "seed: 7" in str(last.yaml)
    draft = await tab.code(page_request(), 0, "Why?", comparison, **settings())
    assert '"Why?"' in str(draft.curl)
