"""The Compare tab's handlers: lanes, turns, blind votes, edits and the rows that come of them."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from playground.errors import InvalidRequest, ModelLoadError, UnknownModel
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompts
from playground.protocol import Message, Request
from playground.store import Feedback, NewAnswer
from playground.ui.compare.events import CompareHandlers
from playground.ui.compare.feedback import VoteHandlers
from playground.ui.compare.lanes import LaneHandlers
from playground.ui.compare.layout import input_name
from playground.ui.compare.updates import AnswersUpdate, Comparison
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.shown_text import spoken
from tests.playground.ui.helpers import changed, drain, drain_failing, page_request, scripted


def answers(request: Request) -> Iterable[str]:
    return ["From ", request.model]


@pytest.fixture
def prompts(tmp_path: Path) -> Iterator[Prompts]:
    store = Prompts(tmp_path / "prompts")
    yield store
    store.close()


@pytest.fixture
def tab(feedback: Feedback, prompts: Prompts) -> CompareHandlers:
    lanes = LaneHandlers(scripted(answers, "left", "right"), prompts)
    return CompareHandlers(lanes, feedback)


@pytest.fixture
def votes(feedback: Feedback) -> VoteHandlers:
    return VoteHandlers(feedback)


def settings(*models: str, **changes: str | float | None) -> dict[str, str | float | None]:
    values: dict[str, str | float | None] = {}
    for lane, model in enumerate(models or ("left", "right")):
        lane_values: dict[str, str | float | None] = {
            "prompt": "", "variables": "", "system": None,
            "temperature": 0.0, "top_p": 1.0, "max_tokens": 64.0, "seed": None,
        }  # fmt: skip
        for name, value in ({"model": model} | lane_values | changes).items():
            values[input_name(lane, name)] = value
    return values


async def compared(
    tab: CompareHandlers,
    question: str = "Who?",
    before: Comparison | None = None,
    *,
    blind: bool,
    models: tuple[str, ...] = ("left", "right"),
) -> tuple[AnswersUpdate, Comparison]:
    asking = tab.ask(question, before, blind, len(models), "code, ", **settings(*models))
    last = (await drain(asking))[-1]
    assert isinstance(last.comparison, Comparison)
    return last, last.comparison


async def test_both_lanes_answer_and_are_kept(tab: CompareHandlers, feedback: Feedback) -> None:
    first, *_, last = await drain(tab.ask("Who?", None, False, 2, "", **settings(seed="7")))
    assert [side.label for side in changed(first.sides)[:2]] == [
        "<h3>A <span>left</span></h3>",
        "<h3>B <span>right</span></h3>",
    ]
    assert [changed(side.column).visible for side in changed(first.sides)] == [True] * 2 + [
        False
    ] * 4
    assert (changed(first.stop).visible, changed(first.question).value) == (True, "")
    left, right = changed(last.sides)[:2]
    assert "From left" in str(left.text)
    assert "From right" in str(right.text)
    assert "seed 7" in str(left.answer)
    assert (changed(last.vote_row).visible, changed(last.stop).visible) == (True, False)
    assert changed(left.edit).visible is True
    assert changed(last.question).interactive is True


async def test_a_blind_comparison_reveals_models_after_the_vote(
    tab: CompareHandlers, votes: VoteHandlers, feedback: Feedback
) -> None:
    updates = await drain(tab.ask("Who?", None, True, 2, "", **settings()))
    for side in changed(updates[0].sides)[:2]:
        assert "left" not in str(side.label)
        assert "right" not in str(side.label)
    last = updates[-1]
    assert all("seed" not in str(side.answer) for side in changed(last.sides)[:2])
    comparison = last.comparison
    assert isinstance(comparison, Comparison)
    told = votes.vote("a", comparison)
    shown = comparison.models[comparison.order[0]]
    assert shown in str(told.sides[0].label)
    assert "seed" in str(told.sides[0].answer)
    assert f"From {shown}" in str(changed(last.sides)[0].text)
    assert f"Saved: A is better: {shown}" in told.verdict
    (vote,) = feedback.votes()
    assert vote.winner is not None
    assert vote.contenders[vote.winner].model == shown


@pytest.mark.parametrize(("vote", "said"), [("tie", "both equally good"), ("bad", "both bad")])
async def test_a_vote_may_prefer_neither(
    tab: CompareHandlers, votes: VoteHandlers, vote: str, said: str
) -> None:
    _, comparison = await compared(tab, blind=False)
    assert said in votes.vote(vote, comparison).verdict  # type: ignore[arg-type]


def test_a_vote_without_answers_is_refused(tab: CompareHandlers, votes: VoteHandlers) -> None:
    for comparison in (None, Comparison((0, 1), ("left", "right"), "Who?")):
        with pytest.raises(InvalidRequest, match="ask something first"):
            votes.vote("a", comparison)
        with pytest.raises(InvalidRequest, match="ask something first"):
            votes.save_edit(0, "better", comparison)


@pytest.mark.parametrize("side", [0, 1])
async def test_an_edit_becomes_a_preference(
    tab: CompareHandlers, votes: VoteHandlers, feedback: Feedback, side: int
) -> None:
    _, comparison = await compared(tab, blind=True)
    opened = votes.begin_edit(side, comparison)
    shown = comparison.models[comparison.order[side]]
    assert changed(opened.sides[side].edited).value == f"From {shown}"
    assert opened.sides[1 - side].edited is UNCHANGED
    saved = votes.save_edit(side, "A better one.", comparison)
    assert changed(saved.sides[side].save).visible is False
    assert "Saved: a better answer" in str(saved.verdict)
    assert feedback.counts()["edits"] == 1
    assert "A better one." in json.dumps(feedback.preference_rows())


async def test_votes_are_counted_and_offered_as_files(
    tab: CompareHandlers, votes: VoteHandlers
) -> None:
    empty = votes.score()
    assert "0 votes" in empty.score
    assert empty.preferences.interactive is False
    _, comparison = await compared(tab, blind=False)
    votes.vote("b", comparison)
    score = votes.score()
    assert "1 vote, 0 edits, 0 thumbs" in score.score
    assert "<tr><td>right</td><td>1</td><td>0</td><td>0</td><td>+0." in score.score
    assert ("code", "code") in score.tag.choices
    assert score.preferences.interactive is True
    (row,) = Path(score.preferences.value["path"]).read_text().splitlines()
    assert "From right" in row


async def test_thumbs_are_offered_as_a_file(
    tab: CompareHandlers, votes: VoteHandlers, feedback: Feedback
) -> None:
    assert votes.score().thumbs.interactive is False
    for text, up in (("Rome.", True), ("Milan.", False)):
        feedback.rate((Message("user", "Capital?"),), NewAnswer("left", text), up=up)
    thumbs = votes.score().thumbs
    assert thumbs.interactive is True
    rows = [json.loads(line) for line in Path(thumbs.value["path"]).read_text().splitlines()]
    assert [row["label"] for row in rows] == [True, False]


async def test_a_lane_that_fails_shows_why_and_nothing_is_voted_on(
    feedback: Feedback, votes: VoteHandlers
) -> None:
    def half(request: Request) -> Iterable[str]:
        if request.model == "left":
            raise ModelLoadError("the adapter <b> is gone")
        return answers(request)

    tab = CompareHandlers(LaneHandlers(scripted(half, "left", "right")), feedback)
    last = (await drain(tab.ask("Who?", None, False, 2, "", **settings())))[-1]
    left, right = changed(last.sides)[:2]
    assert "the adapter &lt;b&gt; is gone" in str(left.answer)
    assert "From right" in str(right.text)
    assert changed(last.vote_row).visible is False
    with pytest.raises(InvalidRequest):
        votes.vote("b", changed(last.comparison))


async def test_an_unknown_model_is_refused(tab: CompareHandlers) -> None:
    _, error = await drain_failing(tab.ask("Who?", None, False, 2, "", **settings("left", "gone")))
    assert isinstance(error, UnknownModel)
    assert tab.reset_inputs().question.interactive is True


async def test_an_empty_question_is_not_asked(tab: CompareHandlers) -> None:
    assert await drain(tab.ask(" ", None, False, 2, "", **settings())) == []


async def test_lane_is_shown_as_code(tab: CompareHandlers) -> None:
    _, comparison = await compared(tab, blind=False)
    last = await tab.code(page_request(), 1, "", comparison, **settings(seed="7"))
    assert 'model="right"' in str(last.python)
    assert '"Who?"' in str(last.python)
    assert "seed: 7" in str(last.yaml)
    draft = await tab.code(page_request(), 0, "Why?", comparison, **settings())
    assert '"Why?"' in str(draft.curl)


async def test_each_lane_goes_on_from_its_own_answers(feedback: Feedback) -> None:
    asked: dict[str, list[Request]] = {}

    def script(request: Request) -> Iterable[str]:
        asked.setdefault(request.model, []).append(request)
        return answers(request)

    tab = CompareHandlers(LaneHandlers(scripted(script, "left", "right")), feedback)
    _, first = await compared(tab, blind=False)
    last, second = await compared(tab, "Why?", first, blind=False)
    assert [message.content for message in asked["right"][-1].messages] == [
        "Who?", "From right", "Why?",
    ]  # fmt: skip
    assert [turn.question for turn in second.done] == ["Who?", "Why?"]
    started = (await drain(tab.ask("So?", second, False, 2, "", **settings())))[0]
    past = spoken(changed(changed(started.sides)[1].past))
    assert past.index("Who?") < past.index("From right") < past.index("Why?")
    assert changed(last.vote_row).visible is True


async def test_six_lanes_are_voted_on(
    tab: CompareHandlers, votes: VoteHandlers, feedback: Feedback
) -> None:
    models = ("left", "right") * 3
    last, comparison = await compared(tab, blind=False, models=models)
    assert [button.visible for button in changed(last.votes)[:6]] == [True] * 6
    told = votes.vote("f", comparison)
    assert "F is best: right" in told.verdict
    (vote,) = feedback.votes()
    assert (len(vote.contenders), vote.winner) == (6, 5)


async def test_models_once_shown_are_not_blind(tab: CompareHandlers, votes: VoteHandlers) -> None:
    _, first = await compared(tab, blind=True)
    assert first.hidden
    _, unvoted = await compared(tab, "Why?", first, blind=True)
    assert unvoted.hidden
    assert unvoted.order == first.order
    seen = votes.vote("tie", unvoted).comparison
    _, after = await compared(tab, "So?", seen, blind=True)
    assert not after.hidden


async def test_another_number_of_lanes_begins_anew(tab: CompareHandlers) -> None:
    _, first = await compared(tab, blind=False)
    _, second = await compared(tab, blind=False, before=first, models=("left", "right", "left"))
    assert second.turns == ()
    shown = tab.new(3)
    assert [changed(side.column).visible for side in changed(shown.sides)] == [True] * 3 + [
        False
    ] * 3


async def test_lane_asks_a_stored_prompt(
    tab: CompareHandlers, prompts: Prompts, feedback: Feedback
) -> None:
    content = PromptContent.from_json(
        {
            "messages": [
                {"role": "system", "content": "Answer as {{ who }}."},
                {"role": "user", "content": "Briefly: {{ input }}"},
            ],
            "variables": [{"name": "who"}, {"name": "input"}],
            "sampling": {"temperature": 0.5, "top_k": 7},
        }
    )
    prompts.create("brief", content)
    chosen = settings()
    chosen |= {input_name(1, "prompt"): "brief@1", input_name(1, "variables"): "who: a pirate"}
    lane = await tab.lanes.lane(1, chosen)
    request = lane.request((Message("user", "Who?"),))
    assert [message.content for message in request.messages] == [
        "Answer as a pirate.", "Briefly: Who?",
    ]  # fmt: skip
    assert (request.sampling.top_k, request.sampling.temperature) == (7, 0.0)
    last = (await drain(tab.ask("Who?", None, False, 2, "", **chosen)))[-1]
    assert changed(last.comparison) is not None
    update = await tab.lanes.choose_prompt(1, "brief@1")
    assert changed(update.lanes[1].temperature) == 0.5
    assert changed(update.lanes[1].variables).value == "who: "


async def test_missing_variable_fails_its_lane(tab: CompareHandlers, prompts: Prompts) -> None:
    content = {
        "messages": [{"role": "user", "content": "{{ who }}?"}],
        "variables": [{"name": "who"}],
    }
    prompts.create("who", PromptContent.from_json(content))
    chosen = settings() | {input_name(0, "prompt"): "who"}
    last = (await drain(tab.ask("Who?", None, False, 2, "", **chosen)))[-1]
    left, right = changed(last.sides)[:2]
    assert "variables.who" in str(left.answer)
    assert "From right" in str(right.text)


@pytest.mark.parametrize(("name", "value"), [("seed", "x"), ("temperature", 9.0)])
async def test_a_wrong_setting_names_its_lane(
    tab: CompareHandlers, name: str, value: str | float
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await tab.lanes.lane(1, settings(**{name: value}))
    assert caught.value.field == f"{name}_2"


async def test_variables_that_cannot_be_read_name_their_line(
    tab: CompareHandlers, prompts: Prompts
) -> None:
    content = {"messages": [{"role": "user", "content": "Hello"}]}
    prompts.create("hello", PromptContent.from_json(content))
    chosen = settings() | {
        input_name(0, "prompt"): "hello",
        input_name(0, "variables"): "a: 1\nb: [",
    }
    with pytest.raises(InvalidRequest, match=r"variables_1.*line 2"):
        await tab.lanes.lane(0, chosen)
