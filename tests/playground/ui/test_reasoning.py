"""What a model writes before its answer: folded on the page, sent back with the conversation."""

import gradio as gr
import pytest

from playground.protocol import Delta, Message, Request
from playground.store import Feedback
from playground.ui.chat.events import ChatHandlers
from playground.ui.chat.rating import Rating
from playground.ui.components.messages import (
    REASONING,
    History,
    answer_turns,
    is_thought,
    text_of,
    to_messages,
    turn,
)
from playground.ui.components.sampling import control_values
from playground.ui.functions.timeline import Timeline, to_chat
from tests.playground.ui.helpers import changed, drain, scripted

PIECES = (Delta(reasoning="One "), Delta(reasoning="two."), Delta("Th"), Delta("ree."))


@pytest.fixture
def chat() -> ChatHandlers:
    return ChatHandlers(scripted(lambda request: PIECES), False)


async def answered(chat: ChatHandlers) -> History:
    values = control_values((await chat.answering.model(None)).defaults)
    updates = await drain(chat.send("Hi", [], "", "scripted", "", **values))
    return changed(updates[-1].chatbot)


async def test_reasoning_is_a_folded_turn(chat: ChatHandlers) -> None:
    question, thought, answer = await answered(chat)
    assert [text_of(item["content"]) for item in (thought, answer)] == ["One two.", "Three."]
    assert (thought["metadata"]["title"], thought["metadata"]["status"]) == (REASONING, "done")
    assert not is_thought(question)
    assert not is_thought(answer)


async def test_reasoning_is_open_while_it_is_written() -> None:
    (thought,) = answer_turns("", "One", running=True)
    assert thought["metadata"]["status"] == "pending"
    thought, _ = answer_turns("Th", "One", running=True)
    assert thought["metadata"]["status"] == "done"


async def test_reasoning_goes_back_to_the_model() -> None:
    asked: list[Request] = []

    def script(request: Request):
        asked.append(request)
        return PIECES

    chat = ChatHandlers(scripted(script), False)
    history = await answered(chat)
    values = control_values((await chat.answering.model(None)).defaults)
    await drain(chat.send("And?", history, "", "scripted", "", **values))
    said = Message("assistant", "Three.", reasoning="One two.")
    assert asked[-1].messages == (Message("user", "Hi"), said, Message("user", "And?"))


async def test_answer_cut_in_its_reasoning_is_kept() -> None:
    cut = [turn("user", "Hi"), *answer_turns("", "One", "length"), turn("user", "Go on")]
    assert [message.reasoning for message in to_messages(cut)] == ["", "One", ""]


async def test_thumb_on_reasoning_rates_the_answer(chat: ChatHandlers, feedback: Feedback) -> None:
    history = await answered(chat)
    liked = gr.LikeData(None, {"index": 1, "value": "One two.", "liked": True})
    Rating(feedback).rate(liked, history, "scripted", "")
    (row,) = feedback.sft_rows()
    assert row["messages"][0]["content"] == "Hi"
    assert row["messages"][1]["content"] == "Three."


def test_functions_fold_reasoning_before_calls() -> None:
    said = Message("assistant", "Three.", reasoning="One two.")
    titles = [item["metadata"].get("title") for item in to_chat(Timeline((said,)))]
    assert titles == [REASONING, None]
