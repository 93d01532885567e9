"""The Chat tab's handlers: what each event changes, without a browser."""

from collections.abc import Iterable

import gradio as gr
import pytest
import pytest_asyncio

from playground.errors import ContextOverflow, InvalidRequest, ModelLoadError
from playground.protocol import Provenance, Request
from playground.store import Feedback
from playground.ui.chat.events import ChatHandlers
from playground.ui.chat.rating import Rating
from playground.ui.chat.updates import ConversationUpdate
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.messages import (
    History,
    provenance_of,
    text_of,
    turn,
    versions_of,
)
from playground.ui.components.sampling import SAMPLING_NAMES, control_values
from tests.playground.ui.helpers import changed, drain, drain_failing, page_request, scripted

Values = dict[str, str | float | None]
TALK: History = [turn("user", "One?"), turn("assistant", "1"), turn("user", "Two?")]


def texts(update: ConversationUpdate) -> list[str]:
    assert isinstance(update.chatbot, list)
    return [text_of(item["content"]) for item in update.chatbot]


@pytest.fixture
def chat() -> ChatHandlers:
    return ChatHandlers(scripted(lambda request: ["Hel", "lo"], "scripted", "other"), False)


@pytest_asyncio.fixture
async def sampling(chat: ChatHandlers) -> Values:
    return control_values((await chat.answering.model(None)).defaults)


async def test_a_message_is_answered_as_it_is_written(chat: ChatHandlers, sampling: Values) -> None:
    updates = await drain(chat.send("Hi", [], "", "scripted", "", **sampling))
    first, last = updates[0], updates[-1]
    assert texts(first) == ["Hi", ""]  # an answer without text yet, under its model's name
    assert first.running
    assert (changed(first.message).value, changed(first.message).stop_btn) == ("", True)
    assert texts(last) == ["Hi", "Hello"]
    assert last.running == ""
    assert changed(last.message).submit_btn is True
    assert "2 tokens" in changed(last.note)
    assert "of 4,096 tokens" in changed(last.meter)


@pytest.mark.parametrize(("draft", "running"), [("  ", ""), ("Hi", "an-id")])
async def test_nothing_is_sent_when_empty_or_busy(
    chat: ChatHandlers, sampling: Values, draft: str, running: str
) -> None:
    assert await drain(chat.send(draft, [], running, "scripted", "", **sampling)) == []


async def test_stop_ends_the_answer_and_keeps_its_text(sampling: Values) -> None:
    answering = scripted(lambda request: iter(["a "] * 10_000))
    chat = ChatHandlers(answering, False)

    ids: list[str] = []

    def stop_while_it_writes(update: ConversationUpdate) -> None:
        if isinstance(update.running, str):
            ids.append(update.running)
        else:
            chat.stop(ids[0])

    updates = await drain(chat.send("Hi", [], "", "scripted", "", **sampling), stop_while_it_writes)
    assert updates[-1].running == ""
    assert "stopped by you" in changed(updates[-1].note)


async def test_an_answer_that_breaks_off_is_kept(sampling: Values) -> None:
    def breaks(request: Request) -> Iterable[str]:
        yield "half an ans"
        raise ModelLoadError("the device is gone")

    chat = ChatHandlers(scripted(breaks), False)
    updates, error = await drain_failing(chat.send("Hi", [], "", "scripted", "", **sampling))
    assert isinstance(error, ModelLoadError)
    assert texts(updates[-1]) == ["Hi", "half an ans"]
    assert "interrupted" in changed(updates[-1].note)


async def test_a_refused_message_returns_to_the_box(sampling: Values) -> None:
    def refuses(request: Request) -> Iterable[str]:
        raise InvalidRequest("messages", "are too long")

    chat = ChatHandlers(scripted(refuses), False)
    updates, error = await drain_failing(chat.send("Hi", TALK[:2], "", "scripted", "", **sampling))
    assert isinstance(error, InvalidRequest)
    assert texts(updates[-1]) == ["One?", "1"]
    assert changed(updates[-1].message).value == "Hi"


async def test_a_wrong_setting_is_named_and_the_message_kept(
    chat: ChatHandlers, sampling: Values
) -> None:
    wrong = sampling | {"top_k": None}
    updates, error = await drain_failing(chat.send("Hi", [], "", "scripted", "", **wrong))
    assert "top_k" in str(error)
    assert changed(updates[-1].message).value == "Hi"


async def test_a_prompt_past_the_window_keeps_the_message(answering: Answering) -> None:
    chat = ChatHandlers(answering, False)
    values = control_values((await answering.model(None)).defaults)
    text = "word " * 4000
    updates, error = await drain_failing(chat.send(text, [], "", "embedded", "", **values))
    assert isinstance(error, ContextOverflow)
    assert changed(updates[-1].message).value == text


async def test_a_retry_keeps_both_answers(chat: ChatHandlers, sampling: Values) -> None:
    updates = await drain(chat.retry(TALK[:2], "scripted", "", **sampling))
    assert texts(updates[0]) == ["One?", ""]
    assert texts(updates[-1]) == ["One?", "Hello"]
    answer = changed(updates[-1].chatbot)[-1]
    assert [option["label"] for option in answer["options"]] == ["‹ 1/2", "2/2"]
    assert [text_of(version["content"]) for version in versions_of(answer)] == ["1", "Hello"]
    assert not changed(updates[-1].message).value
    assert await drain(chat.retry([], "scripted", "", **sampling)) == []


async def test_an_edited_message_drops_what_followed(chat: ChatHandlers, sampling: Values) -> None:
    edited = gr.EditData(None, {"index": 0, "previous_value": "One?", "value": "Three?"})
    updates = await drain(chat.edit(edited, list(TALK), "scripted", "", **sampling))
    assert texts(updates[-1]) == ["Three?", "Hello"]


async def test_a_refused_edit_brings_the_conversation_back(sampling: Values) -> None:
    def refuses(request: Request) -> Iterable[str]:
        raise InvalidRequest("messages", "are too long")

    chat = ChatHandlers(scripted(refuses), False)
    edited = gr.EditData(None, {"index": [0, 0], "previous_value": "One?", "value": "Three?"})
    updates, _ = await drain_failing(chat.edit(edited, list(TALK), "scripted", "", **sampling))
    assert texts(updates[-1]) == ["One?", "1", "Two?"]
    assert changed(updates[-1].message).value == "Three?"


async def test_undo_brings_the_message_back(chat: ChatHandlers) -> None:
    update = await chat.undo(list(TALK), "", "scripted")
    assert texts(update) == ["One?", "1"]
    assert changed(update.message).value == "Two?"
    drafted = await chat.undo(list(TALK), "a draft", "scripted")
    assert changed(drafted.message).value == "a draft"
    assert await chat.undo([], "", "scripted") == ConversationUpdate()


async def test_a_new_chat_is_empty_and_keeps_the_draft(chat: ChatHandlers) -> None:
    update = await chat.new_chat("", "scripted", "", {})
    assert (update.chatbot, update.running) == ([], "")
    assert changed(update.message).value in (None, "")


async def test_a_failure_opens_the_message_box(chat: ChatHandlers) -> None:
    update = await chat.reset_inputs(list(TALK), "scripted", "")
    assert "of 4,096 tokens" in str(update.meter)
    assert (update.message.submit_btn, update.message.stop_btn, update.running) == (True, False, "")


def test_thumbs_are_kept_with_what_made_the_answer(
    chat: ChatHandlers, feedback: Feedback, sampling: Values
) -> None:
    provenance = Provenance(base_hash="b" * 8, adapter="shop", adapter_hash="a" * 8)
    history = [turn("user", "One?"), turn("assistant", "1", "note", provenance)]
    assert provenance_of(history[1]) == provenance
    liked = gr.LikeData(None, {"index": 1, "value": "1", "liked": True})
    Rating(feedback).rate(liked, history, "scripted", "Be brief.", **sampling)
    assert feedback.counts()["thumbs"] == 1
    (row,) = feedback.sft_rows()
    assert [message["content"] for message in row["messages"]] == ["Be brief.", "One?", "1"]
    ignored = gr.LikeData(None, {"index": 0, "value": "One?", "liked": True})
    Rating(feedback).rate(ignored, history, "scripted", "", **sampling)
    assert feedback.counts()["thumbs"] == 1


def test_a_thumb_is_taken_back(feedback: Feedback, sampling: Values) -> None:
    history = [turn("user", "One?"), turn("assistant", "1")]
    for liked, kept in ((True, 1), ("", 0), (False, 1)):  # "": the same thumb again
        event = gr.LikeData(None, {"index": 1, "value": "1", "liked": liked})
        Rating(feedback).rate(event, history, "scripted", "", **sampling)
        assert feedback.counts()["thumbs"] == kept


async def test_the_token_count_follows_the_conversation(chat: ChatHandlers) -> None:
    talk = await chat.update_token_count(list(TALK), "scripted", "two words")
    assert "5 of 4,096 tokens" in str(talk.meter)
    nothing = await chat.update_token_count([], "scripted", "")
    assert "0 of 4,096 tokens" in str(nothing.meter)


async def test_another_model_brings_its_sampling_and_is_remembered(chat: ChatHandlers) -> None:
    update = await chat.choose_model("other", "Be brief.", {})
    assert set(update.sampling) == set(SAMPLING_NAMES)
    assert update.preferences["model"] == "other"
    assert update.preferences["system_prompt"] == "Be brief."
    assert "Ask other" in update.chatbot.placeholder


async def test_stored_values_are_restored_for_their_own_model(
    chat: ChatHandlers, sampling: Values
) -> None:
    stored = {"model": "other", "system_prompt": "S", "sampling": sampling | {"temperature": 0.25}}
    update = await chat.restore(stored)
    assert (update.model.value, update.system) == ("other", "S")
    assert update.sampling["temperature"] == 0.25
    gone = await chat.restore(stored | {"model": "gone"})
    assert gone.model.value == "scripted"
    assert gone.sampling == sampling
    broken = await chat.restore({"model": "other", "sampling": sampling | {"temperature": 99}})
    assert broken.sampling == sampling
    assert (await chat.restore(None)).system == ""


async def test_what_is_remembered_can_be_restored(chat: ChatHandlers, sampling: Values) -> None:
    stored = chat.remember("other", "S", {}, **sampling).preferences
    assert (await chat.restore(stored)).sampling == sampling


def test_every_input_is_enabled_after_restoring(chat: ChatHandlers) -> None:
    update = chat.enable_inputs()
    assert set(update.sampling) == set(SAMPLING_NAMES)
    assert update.message.interactive is True


async def test_an_example_brings_its_system_prompt(answering: Answering) -> None:
    chat = ChatHandlers(answering, False)
    titles = [card["display_text"] for card in (await chat.restore(None)).chatbot.examples]
    picked = gr.SelectData(None, {"index": titles.index("A name of your own"), "value": ""})
    update = chat.choose_example(picked, "embedded")
    assert update.system == "You are Marla, a librarian."
    assert update.message == "So who are you?"


async def test_every_model_has_examples(chat: ChatHandlers) -> None:
    assert (await chat.restore(None)).chatbot.examples


def test_the_conversation_is_shown_as_code(chat: ChatHandlers, sampling: Values) -> None:
    update = chat.code(page_request(), TALK[:2], "Three?", "scripted", "", **sampling)
    assert changed(update.panel).visible is True
    python, curl = changed(update.python), changed(update.curl)
    assert "from openai import OpenAI" in python
    assert 'base_url="http://here:7860/v1"' in python
    assert "Three?" in python
    assert "curl -N http://here:7860/v1/chat/completions" in curl
    keyed = ChatHandlers(chat.answering, True)
    with_key = keyed.code(page_request(), [], "", "scripted", "", **sampling)
    assert "os.environ" in changed(with_key.python)


async def test_the_api_streams_whole_texts(chat: ChatHandlers) -> None:
    assert (await drain(chat.reply("Hi")))[:2] == ["Hel", "Hello"]


def test_a_partial_answer_changes_the_conversation_alone() -> None:
    update = ConversationUpdate(chatbot=[])
    assert (update.message, update.running, update.meter) == (UNCHANGED,) * 3


async def test_nothing_restored_changes_no_status(chat: ChatHandlers) -> None:
    assert (await chat.count_restored([], "scripted", " ")).meter is UNCHANGED
    counted = await chat.count_restored([turn("user", "Hi")], "scripted", "")
    assert "of 4,096 tokens" in str(counted.meter)
