"""The sidebar's handlers, and what of the tabs is kept: without a browser."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from sqlalchemy import text

from playground.errors import Conflict, InvalidRequest
from playground.lab import Lane
from playground.protocol import Message, Provenance, Request, ToolCall
from playground.store import Feedback, NewAnswer
from playground.store.conversation_types import Conversation, Wanted, text_of
from playground.store.conversations import Conversations
from playground.store.database import Database
from playground.tools import Toolbox
from playground.ui.chat.events import ChatHandlers
from playground.ui.chat.rating import Rating
from playground.ui.compare.events import CompareHandlers
from playground.ui.compare.lanes import LaneHandlers
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.messages import (
    answer_turns,
    provenance_of,
    to_messages,
    turn,
    versions_of,
)
from playground.ui.components.messages import text_of as shown
from playground.ui.components.sampling import control_values
from playground.ui.functions.events import FunctionHandlers
from playground.ui.functions.timeline import Run, Timeline
from playground.ui.history.events import HistoryHandlers
from playground.ui.history.recording import Recorder
from playground.ui.history.turns import (
    history_of,
    path_of,
    path_of_timeline,
    timeline_of,
)
from tests.playground.store.conversation_examples import ASKED, CHAT, OTHER_ANSWER, TALK
from tests.playground.ui.helpers import changed, drain, scripted
from tests.playground.ui.test_compare_handlers import settings as lane_settings
from tests.playground.ui.test_functions_handlers import form as function_form


@pytest.fixture
def chat(conversations: Conversations) -> ChatHandlers:
    answers = iter(["One", "Two", "Three"])
    return ChatHandlers(scripted(lambda request: [next(answers)]), False, Recorder(conversations))


@pytest.fixture
def sidebar(conversations: Conversations, chat: ChatHandlers) -> HistoryHandlers:
    return HistoryHandlers(conversations, chat.answering)


def click(conversation_id: str) -> Any:
    return SimpleNamespace(conversation=conversation_id)


def path_in(button: Any) -> Path:
    return Path(changed(button).value["path"])


def only(store: Conversations) -> Conversation:
    (summary,) = store.list().conversations
    return store.find(summary.id)


def said(conversation: Conversation) -> list[str]:
    return [text_of(each.item) for each in conversation.path()]


async def values(chat: ChatHandlers, **more: Any) -> dict[str, Any]:
    return {**control_values((await chat.answering.model(None)).defaults), **more}


async def test_question_is_kept_before_answer(
    chat: ChatHandlers, conversations: Conversations
) -> None:
    kept: list[list[str]] = []
    updates = await drain(
        chat.send("Hi", [], "", "scripted", "", **await values(chat)),
        lambda update: kept.append(said(only(conversations))),
    )
    assert kept[0] == ["Hi"]
    assert said(only(conversations)) == ["Hi", "One"]
    assert updates[0].conversation == only(conversations).id


async def test_answers_name_what_they_belong_to(
    conversations: Conversations, feedback: Feedback
) -> None:
    asked: list[Request] = []

    def script(request: Request) -> list[str]:
        asked.append(request)
        return ["One"]

    answering, recorder = scripted(script, "scripted", "other"), Recorder(conversations)
    chat = ChatHandlers(answering, False, recorder)
    functions = FunctionHandlers(answering, Toolbox(), (), False, recorder)
    compare = CompareHandlers(LaneHandlers(answering), feedback, recorder=recorder)
    filled = await values(chat, prompt="greet@2")
    await drain(chat.send("In Chat", [], "", "scripted", "", **filled))
    form = function_form(model="scripted", tools="[]")
    (*_, last) = await drain(functions.send("In Functions", Timeline(), "", **form))
    await drain(compare.ask("In Compare", None, False, 2, "", **lane_settings("scripted", "other")))
    kept = {each.title: each.id for each in conversations.list().conversations}
    found = [(request.conversation, request.prompt_version) for request in asked]
    assert found == [
        (kept["In Chat"], "greet@2"),
        (kept["In Functions"], ""),
        *[(kept["In Compare"], "")] * 2,
    ]
    assert last.conversation in (kept["In Functions"], UNCHANGED)


async def test_retry_and_edit_are_branches(
    chat: ChatHandlers, conversations: Conversations
) -> None:
    first = await drain(chat.send("Hi", [], "", "scripted", "", **await values(chat)))
    more = await values(chat, conversation=first[0].conversation)
    again = await drain(chat.retry(changed(first[-1].chatbot), "scripted", "", **more))
    edited = gr.EditData(None, {"index": 0, "previous_value": "Hi", "value": "Hello"})
    await drain(chat.edit(edited, changed(again[-1].chatbot), "scripted", "", **more))
    found = only(conversations)
    branches = [[text_of(each.item) for each in found.path(leaf.id)] for leaf in found.leaves()]
    assert branches == [["Hi", "One"], ["Hi", "Two"], ["Hello", "Three"]]


async def test_temporary_chat_is_kept_nowhere(
    chat: ChatHandlers, conversations: Conversations, feedback: Feedback
) -> None:
    hidden = await values(chat, temporary=True)
    updates = await drain(chat.send("Hi", [], "", "scripted", "", **hidden))
    assert shown(changed(updates[-1].chatbot)[-1]["content"]) == "One"
    assert updates[0].conversation == ""
    await chat.recorder.record_chat(changed(updates[-1].chatbot), "", True, "scripted", "")
    assert conversations.list().conversations == ()
    liked = gr.LikeData(None, {"index": 1, "value": "One", "liked": True})
    with pytest.raises(InvalidRequest, match="kept nowhere"):
        Rating(feedback).rate(liked, changed(updates[-1].chatbot), "scripted", "", temporary=True)


async def test_locked_history_spoils_no_answer(tmp_path: Path) -> None:
    store, other = Conversations(tmp_path, wait_s=0.01), Database(tmp_path)
    chat = ChatHandlers(scripted(lambda request: ["One"]), False, Recorder(store))
    sent = chat.send("Hi", [], "", "scripted", "", **await values(chat))
    with other.writing() as session:
        session.execute(text("SELECT 1"))
        with pytest.warns(UserWarning, match="locked by another program"):
            updates = await drain(sent)
    assert shown(changed(updates[-1].chatbot)[-1]["content"]) == "One"
    await chat.recorder.record_chat(changed(updates[-1].chatbot), "", False, "scripted", "")
    assert said(only(store)) == ["Hi", "One"]
    store.close()
    other.close()


def test_chat_turns_come_back_equal(conversations: Conversations) -> None:
    provenance = Provenance("b" * 8, "nf4", "shop", "h" * 8, seed=3)
    answer = answer_turns("1 < 2", "Hm.", "3 tokens", provenance, byline="scripted · h")
    history = [turn("user", "  <b>One?</b>\n"), *answer]
    kept = conversations.record("", path_of(history), CHAT)
    again = history_of(conversations.find(kept))
    assert to_messages(again) == to_messages(history)
    assert again[-1] == history[-1]
    assert provenance_of(again[-1]) == provenance


def test_other_answers_are_offered_again(conversations: Conversations) -> None:
    kept = conversations.record("", TALK[:2], CHAT)
    conversations.record(kept, [ASKED, OTHER_ANSWER], CHAT)
    history = history_of(conversations.find(kept))
    assert [shown(each["content"]) for each in versions_of(history[-1])] == [
        "Leonardo da Vinci.",
        "Leonardo, around 1503.",
    ]
    assert history[-1]["options"][1]["label"] == "2/2"


def test_function_calls_come_back_equal(conversations: Conversations) -> None:
    call = ToolCall("call_1", "get_weather", "{}")
    timeline = Timeline(
        (
            Message("user", "Weather?"),
            Message("assistant", "", (call,)),
            Message("tool", "4", tool_call_id="call_1"),
            Message("assistant", "4 °C"),
        ),
        {"call_1": Run(seconds=0.5)},
        bylines=("a", "b"),
    )
    kept = conversations.record("", path_of_timeline(timeline), CHAT)
    assert timeline_of(conversations.find(kept)) == timeline


async def test_clicked_conversation_opens_in_its_tab(
    sidebar: HistoryHandlers, conversations: Conversations
) -> None:
    kept = conversations.record("", TALK, CHAT)
    opened = await sidebar.open(click(kept), "", "")
    assert changed(opened.tabs).selected == "chat"
    assert [shown(each["content"]) for each in changed(opened.chat).chatbot][-1] == "In the Louvre."
    assert (opened.details.opened, opened.details.title) == (kept, "Who painted the Mona Lisa?")
    with pytest.raises(Conflict, match="an answer is being written"):
        await sidebar.open(click(kept), "a-request", "")


async def test_what_is_typed_about_a_conversation_stays(
    sidebar: HistoryHandlers, conversations: Conversations
) -> None:
    kept = conversations.record("", TALK, CHAT)
    first = await sidebar.follow(kept)
    assert (first.opened, changed(first.confirm).visible) == (kept, False)
    again = await sidebar.follow(kept, opened=kept)
    assert changed(again.panel).visible
    typed = (again.title, again.folder, again.tags, again.form, again.confirm)
    assert typed == (UNCHANGED,) * 5
    assert changed(again.download).value


async def test_lanes_open_as_versions(
    sidebar: HistoryHandlers, conversations: Conversations
) -> None:
    answers = [NewAnswer("a", "same"), NewAnswer("b", "same")]
    Recorder(conversations).record_lanes(["Which?"], [Lane("a"), Lane("b")], [answers])
    found = only(conversations)
    opened = await sidebar.open(click(found.id), "", "")
    assert (found.summary.kind, found.summary.model) == ("compare", "a · b")
    assert len(versions_of(changed(opened.chat).chatbot[-1])) == 2


def test_lanes_go_on_as_branches(conversations: Conversations) -> None:
    recorder, lanes = Recorder(conversations), [Lane("a"), Lane("b")]
    first = [NewAnswer("a", "same"), NewAnswer("b", "same")]
    second = [NewAnswer("a", "This one."), NewAnswer("b", "That one.")]
    kept = recorder.record_lanes(["Which?"], lanes, [])
    assert [text_of(item.item) for item in conversations.find(kept).path()] == ["Which?"]
    recorder.record_lanes(["Which?"], lanes, [first], kept)
    assert recorder.record_lanes(["Which?", "Sure?"], lanes, [first], kept) == kept
    assert recorder.record_lanes(["Which?", "Sure?"], lanes, [first, second], kept) == kept
    found = conversations.find(kept)
    ends = [found.path(leaf.id) for leaf in found.leaves()]
    assert [[text_of(item.item) for item in path] for path in ends] == [
        ["Which?", "same", "Sure?", "This one."],
        ["Which?", "same", "Sure?", "That one."],
    ]
    assert found.path()[-1].about["byline"] == "a"


async def test_branch_is_shown_and_forked(
    sidebar: HistoryHandlers, conversations: Conversations
) -> None:
    kept = conversations.record("", TALK, CHAT)
    conversations.record(kept, [ASKED, OTHER_ANSWER], CHAT)
    first = conversations.find(kept).items[1].id
    shown_branch = await sidebar.show_branch(first, kept, "", "")
    assert len(changed(shown_branch.chat).chatbot) == 4
    assert changed(shown_branch.details.branch).visible
    fork = await sidebar.fork(first, kept, "", "")
    assert len(changed(fork.chat).chatbot) == 2
    assert fork.details.opened != kept


async def test_list_groups_searches_and_escapes(
    sidebar: HistoryHandlers, conversations: Conversations
) -> None:
    empty = await sidebar.search("", "all", "", "")
    assert "Conversations are kept here" in empty.listed
    kept = conversations.record("", TALK, CHAT)
    conversations.change(kept, title="<img> & co", tags=["art"])
    listed = (await sidebar.refresh("", "all", 50, kept, "")).listed
    assert "<h3>Today</h3>" in listed
    assert "&lt;img&gt; &amp; co" in listed
    assert 'aria-current="true"' in listed
    assert "<mark>Louvre</mark>" in (await sidebar.search("louvre", "tag:art", "", "")).listed
    assert "No conversation has" in (await sidebar.search("prado", "all", "", "")).listed


async def test_conversation_is_sorted_archived_deleted(
    sidebar: HistoryHandlers, conversations: Conversations
) -> None:
    kept = conversations.record("", TALK, CHAT)
    await sidebar.save(kept, "Art", "Work", ["old"])
    summary = conversations.find(kept).summary
    assert (summary.title, summary.folder, summary.tags) == ("Art", "Work", ("old",))
    assert changed((await sidebar.archive(kept)).archive).value == "Unarchive"
    assert conversations.list().conversations == ()
    assert sidebar.ask_to_delete().confirm.visible
    closed = await sidebar.delete(kept, kept, "", "", "")
    assert changed(closed.chat).conversation == ""
    assert conversations.list(Wanted(archived=None)).conversations == ()


async def test_everything_is_exported_and_imported(
    sidebar: HistoryHandlers, conversations: Conversations
) -> None:
    kept = conversations.record("", TALK, CHAT)
    rows = (await sidebar.export_one(kept, "rows")).download
    assert len(json.loads(path_in(rows).read_text())["messages"]) == 4
    backup = (await sidebar.export_all()).backup
    conversations.delete(kept)
    note = (await sidebar.import_file(str(path_in(backup)))).note
    assert "1 conversations of Mistral Playground imported" in note
    assert said(only(conversations))[-1] == "In the Louvre."
