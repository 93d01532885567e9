"""Conversations are exported and imported with their branches, tools and reasoning."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.data.rows import read_rows
from playground.errors import InvalidRequest
from playground.lab.history import export, items_of, messages_of, read_conversations
from playground.protocol import Message, Tool, ToolCall
from playground.store.conversation_types import Conversation, NewConversation, NewItem, text_of
from playground.store.conversations import Conversations
from tests.playground.store.conversation_examples import ASKED, OTHER_ANSWER, TALK

CALL = ToolCall("call_1", "get_weather", '{"city": "Oslo"}')
WITH_TOOLS = (
    Message("user", "How is the weather in Oslo?"),
    Message("assistant", "", (CALL,), reasoning="I should look."),
    Message("tool", '{"celsius": 4}', tool_call_id="call_1"),
    Message("assistant", "It is 4 °C."),
)
WEATHER = Tool("get_weather", "The weather.", {"type": "object", "properties": {}})


def node(role: str, text: str, parent: str, **fields: object) -> dict[str, object]:
    content = {"content_type": "text", "parts": [text]}
    message = {"author": {"role": role}, "content": content, "create_time": 5.0, **fields}
    return {"message": message, "parent": parent, "children": []}


CHATGPT = {
    "conversation_id": "c-1",
    "title": "Poems",
    "create_time": 1697000000.5,
    "update_time": 1697000001.5,
    "current_node": "a2",
    "is_archived": True,
    "mapping": {
        "root": {"message": None, "parent": None, "children": ["s"]},
        "s": node("system", "", "root"),
        "u": node("user", "A poem", "s"),
        "a1": node("assistant", "Roses", "u", metadata={"model_slug": "gpt-4o"}),
        "a2": node("assistant", "Violets", "u", metadata={"model_slug": "gpt-5"}),
        "h": node("user", "x", "a2", metadata={"is_visually_hidden_from_conversation": True}),
        "c": node("assistant", "print(1)", "h", recipient="python"),
        "t": node("tool", "1", "c"),
        "e": node("assistant", "One.", "t"),
    },
}
OPEN_WEBUI = {
    "id": "w-1",
    "archived": False,
    "created_at": 1714000000,
    "meta": {"tags": ["art"]},
    "chat": {
        "title": "Painters",
        "system": "Be brief.",
        "history": {
            "currentId": "2",
            "messages": {
                "1": {"id": "1", "parentId": None, "role": "user", "content": "Who?"},
                "2": {"id": "2", "parentId": "1", "role": "assistant", "content": "Leonardo",
                      "model": "mistral"},
                "3": {"id": "3", "parentId": "1", "role": "assistant", "content": "Raphael"},
            },
        },
    },
}  # fmt: skip
SHAREGPT = {
    "system": "Be brief.",
    "conversations": [
        {"from": "human", "value": "How is the weather?"},
        {"from": "function_call", "value": '{"name": "get_weather", "arguments": {}}'},
        {"from": "observation", "value": "4"},
        {"from": "gpt", "value": "4 °C"},
    ],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    opened = Conversations(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def talk(store: Conversations) -> Conversation:
    items = [NewItem(item) for message in WITH_TOOLS for item in items_of(message)]
    new = NewConversation(items, kind="functions", system="Be brief.", tools=[WEATHER.to_openai()])
    return store.add(new)


def read(*entries: object) -> tuple[NewConversation, ...]:
    return read_conversations(json.dumps(list(entries)).encode()).conversations


def texts(store: Conversations, new: NewConversation) -> list[str]:
    return [text_of(each.item) for each in store.add(new).path()]


def test_messages_are_items_and_back() -> None:
    items = [item for message in WITH_TOOLS for item in items_of(message)]
    assert [item["type"] for item in items] == [
        "message", "reasoning", "function_call", "function_call_output", "message",
    ]  # fmt: skip
    assert messages_of(items) == list(WITH_TOOLS)


def test_export_as_json_comes_back_whole(store: Conversations, tmp_path: Path) -> None:
    origin = store.record("", TALK, NewConversation(model="embedded", system="Be kind."))
    store.record(origin, [ASKED, OTHER_ANSWER], NewConversation(system="Be kind."))
    store.change(origin, title="Art", folder="Work", tags=["old"])
    before = store.find(origin)
    file = export([before], "json").text.encode()
    other = Conversations(tmp_path / "other")
    assert other.add_all(read_conversations(file).conversations) == 1
    assert other.add_all(read_conversations(file).conversations) == 0  # it is there already
    assert other.find(origin) == before
    other.close()


def test_rows_are_taken_by_finetune(talk: Conversation, tmp_path: Path) -> None:
    exported = export([talk], "rows")
    path = tmp_path / exported.name
    path.write_text(exported.text)
    rows = read_rows(path)
    assert (len(rows.rows), rows.errors) == (1, ())
    assert exported.count == 1


def test_rows_end_with_an_answer(store: Conversations) -> None:
    whole = store.add(NewConversation(TALK[:3]))
    unanswered = store.add(NewConversation([ASKED]))
    exported = export([whole, unanswered], "rows")
    (row,) = map(json.loads, exported.text.splitlines())
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
    assert (exported.count, exported.left_out) == (1, 1)


def test_sharegpt_comes_back_equal(talk: Conversation, store: Conversations) -> None:
    (again,) = read_conversations(export([talk], "sharegpt").text.encode()).conversations
    assert texts(store, again) == [
        text_of(each.item) for each in talk.path() if each.item["type"] != "reasoning"
    ]
    assert again.system == "Be brief."
    assert list(again.tools) == list(talk.tools)


def test_markdown_shows_who_said_what(talk: Conversation) -> None:
    text = export([talk], "markdown").text
    assert text.startswith("# How is the weather in Oslo?\n")
    assert "## System\n\nBe brief.\n\n## User\n\nHow is" in text
    assert "> I should look." in text
    assert '`get_weather`\n\n```json\n{"city": "Oslo"}' in text


def test_chatgpt_tree_keeps_its_branches(store: Conversations) -> None:
    (new,) = read(CHATGPT)
    found = store.add(new)
    assert texts_of(found) == ["A poem", "Violets"]
    assert (found.summary.title, found.summary.archived) == ("Poems", True)
    assert (found.summary.created, found.summary.model) == (1697000000.5, "gpt-5")
    ends = [[text_of(each.item) for each in found.path(leaf.id)] for leaf in found.leaves()]
    assert ends[0] == ["A poem", "Roses"]
    assert ends[1] == ["A poem", "Violets", 'python({"input": "print(1)"})', "1", "One."]
    assert found.items[1].about == {"model": "gpt-4o"}


def texts_of(conversation: Conversation) -> list[str]:
    return [text_of(each.item) for each in conversation.path()]


def test_chatgpt_zip_is_read_once(store: Conversations) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("export/conversations.json", json.dumps([CHATGPT]))
        archive.writestr("chat.html", "<html>")
    imported = read_conversations(packed.getvalue())
    assert imported.source == "ChatGPT"
    assert store.add_all(imported.conversations) == 1
    assert store.add_all(read(CHATGPT)) == 0


def test_open_webui_tree_keeps_its_branches(store: Conversations) -> None:
    (new,) = read(OPEN_WEBUI)
    found = store.add(new)
    assert texts_of(found) == ["Who?", "Leonardo"]
    assert len(found.leaves()) == 2
    assert (found.system, found.summary.tags) == ("Be brief.", ("art",))
    assert found.summary.model == "mistral"


def test_sharegpt_lines_are_read(store: Conversations) -> None:
    lines = f"{json.dumps(SHAREGPT)}\n\n{json.dumps(SHAREGPT)}\n"
    imported = read_conversations(lines.encode())
    assert len(imported.conversations) == 2
    found = texts(store, imported.conversations[0])
    assert found == ["How is the weather?", "get_weather({})", "4", "4 °C"]


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (b"", "no conversation can be read; is empty"),
        (b"\xff\xfe", "is not UTF-8 at byte 0"),
        (b"{", "is not JSON: Expecting property name"),
        (b'{"messages": []}\n{"messages"', "line 2: is not JSON"),
        (b'[{"title": 1}]', "conversation 1: has none of the fields items"),
        (b'[{"messages": [{"role": "user", "content": "x"}, 5]}]', r"messages\[1\]: is int"),
        (b'[{"messages": [{"role": "king"}]}]', r"messages\[0\].role: 'king' is nobody"),
        (b'[{"mapping": {"a": {"parent": "b"}}}]', "message a: follows 'b', which is not there"),
        (b'[{"mapping": {"a": {"parent": "a"}}}]', "message a: follows itself"),
        (b"PK\x03\x04nothing", "the zip file cannot be read"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"format": "mistral-playground.conversations", "version": 9}', "version: is 9; 1 is"),
    ],
)  # fmt: skip
def test_unreadable_file_is_named(file: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        read_conversations(file)


def test_broken_conversation_spares_the_others() -> None:
    file = json.dumps([SHAREGPT, {"messages": [{"role": "king"}]}, CHATGPT]).encode()
    imported = read_conversations(file)
    assert len(imported.conversations) == 2
    assert imported.problems == (
        "conversation 2: messages[0].role: 'king' is nobody who speaks here",
    )
