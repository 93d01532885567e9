"""Conversations are kept as trees, found by their words, changed, forked and deleted."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from playground.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidRequest,
    InvalidSettings,
    NoSpace,
    UnknownConversation,
)
from playground.store.conversation_types import (
    Conversation,
    NewConversation,
    NewItem,
    Wanted,
    text_of,
)
from playground.store.conversations import Conversations
from playground.store.database import Database
from tests.playground.store.conversation_examples import (
    ANSWERED,
    ASKED,
    CHAT,
    FOLLOW_UP,
    OTHER_ANSWER,
    TALK,
    said,
)

WRITES = 100  # benchmarks/history.py does 500
WRITER = """
import sys
from pathlib import Path
from playground.store.conversations import Conversations
from tests.playground.store.conversation_examples import said
store = Conversations(Path(sys.argv[1]))
for number in range(int(sys.argv[4])):
    store.append(sys.argv[2], [said("user", f"{sys.argv[3]} {number}")])
store.close()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Conversations]:
    opened = Conversations(tmp_path)
    yield opened
    opened.close()


def texts(conversation: Conversation, item_id: str | None = None) -> list[str]:
    return [text_of(each.item) for each in conversation.path(item_id)]


def titles(store: Conversations, query: str = "") -> list[str]:
    return [each.title for each in store.list(Wanted(query=query)).conversations]


def test_recording_again_adds_only_news(store: Conversations) -> None:
    conversation_id = store.record("", [ASKED], CHAT)
    assert store.record(conversation_id, [ASKED, ANSWERED], CHAT) == conversation_id
    store.record(conversation_id, TALK, CHAT)
    found = store.find(conversation_id)
    assert texts(found) == [text_of(each.item) for each in TALK]
    assert len(found.items) == 4
    assert found.items[1].about == {"model": "embedded"}
    assert found.summary.title == "Who painted the Mona Lisa?"


def test_retry_is_a_branch_beside(store: Conversations) -> None:
    conversation_id = store.record("", TALK, CHAT)
    store.record(conversation_id, [ASKED, OTHER_ANSWER], CHAT)
    found = store.find(conversation_id)
    assert texts(found)[-1] == "Leonardo, around 1503."
    assert [texts(found, leaf.id)[-1] for leaf in found.leaves()] == [
        "In the Louvre.",
        "Leonardo, around 1503.",
    ]
    store.change(conversation_id, head_id=found.items[1].id)
    assert texts(store.find(conversation_id))[-1] == "In the Louvre."


def test_equal_answers_of_lanes_stay_apart(store: Conversations) -> None:
    lanes = [NewItem(ANSWERED.item, parent=0, variant=str(lane)) for lane in range(2)]
    found = store.add(NewConversation([ASKED, *lanes], kind="compare"))
    assert len(found.children(found.items[0].id)) == 2


def test_deleted_meanwhile_is_kept_anew(store: Conversations) -> None:
    conversation_id = store.record("", TALK, CHAT)
    store.delete(conversation_id)
    again = store.record(conversation_id, TALK, CHAT)
    assert again != conversation_id
    assert len(store.find(again).items) == 4


def test_fork_ends_at_its_turn(store: Conversations) -> None:
    origin = store.find(store.record("", TALK, CHAT))
    fork = store.fork(origin.id, origin.items[1].id)
    assert texts(fork) == ["Who painted the Mona Lisa?", "Leonardo da Vinci."]
    assert texts(store.find(origin.id))[-1] == "In the Louvre."


def test_search_finds_all_words_anywhere(store: Conversations) -> None:
    store.record("", TALK, CHAT)
    store.record("", [said("user", "Où est la Tour Eiffel?")], CHAT)
    assert titles(store, "louvre mona") == ["Who painted the Mona Lisa?"]
    assert titles(store, "ou EIFF") == ["Où est la Tour Eiffel?"]
    assert titles(store, "louvre eiffel") == []
    assert titles(store, '"* OR (') == []
    (found,) = store.list(Wanted(query="louvre")).conversations
    assert "«Louvre»" in found.snippet


def test_search_follows_changes(store: Conversations) -> None:
    conversation_id = store.record("", [ASKED], CHAT)
    store.record(conversation_id, [ASKED, ANSWERED], CHAT)
    assert titles(store, "vinci")
    store.change(conversation_id, title="Painters")
    assert titles(store, "painters") == ["Painters"]
    store.remove_item(conversation_id, store.find(conversation_id).items[1].id)
    assert titles(store, "vinci") == []
    store.delete(conversation_id)
    assert titles(store, "painters") == []


def test_list_by_folder_tag_and_archive(store: Conversations) -> None:
    first, second, third = (store.record("", [said("user", name)], CHAT) for name in "abc")
    store.change(first, folder="Work", tags=["art", "old"])
    store.change(second, archived=True)

    def listed(**wanted: object) -> list[str]:
        return [each.id for each in store.list(Wanted(**wanted)).conversations]  # type: ignore[arg-type]

    assert listed() == [third, first]
    assert listed(folder="Work") == listed(tag="art") == [first]
    assert listed(archived=True) == [second]
    assert listed(oldest_first=True) == [first, third]
    assert (store.folders(), store.tags()) == ({"Work": 1}, {"art": 1, "old": 1})


def test_pages_follow_each_other(store: Conversations) -> None:
    made = [store.record("", [said("user", str(number))], CHAT) for number in range(5)]
    page = store.list(Wanted(limit=2))
    rest = store.list(Wanted(limit=9, after=page.conversations[-1].id))
    assert page.has_more
    assert not rest.has_more
    assert [each.id for each in (*page.conversations, *rest.conversations)] == made[::-1]


def test_removed_item_leaves_no_gap(store: Conversations) -> None:
    found = store.find(store.record("", TALK, CHAT))
    store.remove_item(found.id, found.items[1].id)
    assert texts(store.find(found.id)) == [
        text_of(each.item) for each in (ASKED, FOLLOW_UP, TALK[3])
    ]


def test_unknown_and_taken_ids_are_errors(store: Conversations) -> None:
    found = store.add(NewConversation([ASKED], id="conv_1"))
    with pytest.raises(Conflict, match="conv_1"):
        store.add(NewConversation(id="conv_1"))
    for call in (store.find, store.delete, store.fork):
        with pytest.raises(UnknownConversation, match="conv_2"):
            call("conv_2")
    with pytest.raises(UnknownConversation, match="msg_9"):
        store.change(found.id, head_id="msg_9")
    with pytest.raises(InvalidRequest, match=r"folder: .* 128 characters, not 200"):
        store.change(found.id, folder="x" * 200)


def test_text_no_database_takes_is_cleaned(store: Conversations) -> None:
    conversation_id = store.record("", [said("user", "nul \0 and \ud800")], CHAT)
    assert texts(store.find(conversation_id)) == ["nul  and ?"]


def test_locked_database_loses_nothing(tmp_path: Path) -> None:
    store, other = Conversations(tmp_path, wait_s=0.05), Database(tmp_path)
    conversation_id = store.record("", [ASKED], CHAT)
    with other.writing() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailable, match="locked by another program"):
            store.record(conversation_id, TALK, CHAT)
        assert len(store.find(conversation_id).items) == 1  # readers do not wait
    store.record(conversation_id, TALK, CHAT)
    assert len(store.find(conversation_id).items) == 4
    store.close()
    other.close()


def test_full_database_loses_nothing(tmp_path: Path) -> None:
    store = Conversations(tmp_path)
    conversation_id = store.record("", [ASKED], CHAT)
    with store._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(NoSpace, match="not saved, everything before it is"):
        store.record(conversation_id, [ASKED, said("assistant", "long " * 50_000)], CHAT)
    assert texts(store.find(conversation_id)) == ["Who painted the Mona Lisa?"]
    store.close()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("no url", "database_url: Could not parse"),
        ("mysql://host/name", "mysql is not supported"),
        ("postgresql+pg8000://host/name", "driver pg8000 is not installed"),
    ],
)
def test_unusable_database_url_is_named(tmp_path: Path, url: str, problem: str) -> None:
    with pytest.raises(InvalidSettings, match=problem):
        Conversations(tmp_path, url)


def test_unreachable_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        Conversations(tmp_path, "postgresql://someone@127.0.0.1:9/name")


@pytest.mark.slow
def test_two_processes_lose_no_write(tmp_path: Path) -> None:
    with_both = Conversations(tmp_path)
    conversation = with_both.add(NewConversation(kind="api"))
    arguments = [str(tmp_path), conversation.id]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, *arguments, name, str(WRITES)])
        for name in ("first", "second")
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    found = with_both.find(conversation.id)
    wanted = {f"{name} {number}" for name in ("first", "second") for number in range(WRITES)}
    assert {text_of(each.item) for each in found.items} == wanted
    assert len(found.path()) == 2 * WRITES  # one after another: no write replaced another's
    with_both.close()
