"""All stores on a real PostgreSQL, started for these tests by a user of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from playground.protocol import Message
from playground.store import Feedback, NewAnswer
from playground.store.conversation_types import Wanted, text_of
from playground.store.conversations import Conversations
from playground.store.database import Database
from playground.store.responses import KeptResponse, Responses
from playground.store.tables import Table
from playground.store.usage import DAY_S, AnswerUsage, UsageStore, WantedUsage
from tests.playground.store.conversation_examples import ASKED, CHAT, OTHER_ANSWER, TALK, said
from tests.postgresql import NEEDS_POSTGRESQL, postgresql

pytestmark = [pytest.mark.slow, NEEDS_POSTGRESQL]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql() as made:
        yield made


def test_postgresql_keeps_trees(url: str, tmp_path: Path) -> None:
    store = Conversations(tmp_path, url)
    conversation_id = store.record("", TALK, CHAT)
    store.record(conversation_id, [ASKED, OTHER_ANSWER, said("user", "nul \0")], CHAT)
    store.change(conversation_id, folder="Work", tags=["art"])
    found = store.find(conversation_id)
    assert len(found.leaves()) == 2
    assert text_of(found.path()[-1].item) == "nul "
    assert (store.folders(), store.tags()) == ({"Work": 1}, {"art": 1})
    store.delete(conversation_id)
    assert store.list().conversations == ()
    store.close()


def test_postgresql_searches_as_sqlite(url: str, tmp_path: Path) -> None:
    store = Conversations(tmp_path, url)
    conversation_id = store.record("", TALK, CHAT)
    for query, is_found in (
        ("LOUVRE mona", True), ("louv", True), ("ouvre", False), ("' | ! :* (", False),
    ):  # fmt: skip
        assert bool(store.list(Wanted(query=query)).conversations) is is_found
    (found,) = store.list(Wanted(query="louvre")).conversations
    assert "«Louvre»" in found.snippet
    store.record("", [said("user", "word " * 300_000)], CHAT)  # more than an index entry takes
    store.delete(conversation_id)
    assert store.list(Wanted(query="louvre")).conversations == ()
    store.close()


def test_postgresql_keeps_feedback_and_responses(url: str, tmp_path: Path) -> None:
    feedback, responses = Feedback(tmp_path, url), Responses(tmp_path, url)
    answers = [NewAnswer("a", "one"), NewAnswer("b", "two")]
    kept = feedback.keep((Message("user", "Hi"),), answers)
    feedback.vote(kept.id, "best", kept.answers[0].id)
    assert [vote.winner for vote in feedback.votes()] == [0]
    responses.keep(KeptResponse("resp_1", None, [{"type": "message"}], {"output": []}))
    assert responses.find("resp_1").input == [{"type": "message"}]
    feedback.close()
    responses.close()


def test_postgresql_sums_usage_as_sqlite(url: str, tmp_path: Path) -> None:
    answers = [
        AnswerUsage(
            ended=DAY_S * day + 0.5, model=model, prompt_tokens=10, cached_tokens=4,
            completion_tokens=5, first_token_s=0.25, total_s=1.0, running_s=0.75,
        )
        for day in (1, 2)
        for model in ("a", "b", "b")
    ]  # fmt: skip
    found = []
    for where in (url, ""):
        store = UsageStore(tmp_path, where, keep_days=36_500)
        store.add(answers)
        whole = WantedUsage(0, DAY_S * 3)
        found.append([store.sums(whole), store.sums(whole, ["period", "model"])])
        store.close()
    assert found[0] == found[1]
    assert [len(each) for each in found[0]] == [1, 4]


def test_postgresql_migrations_equal_tables(url: str, tmp_path: Path) -> None:
    database = Database(tmp_path, url)
    with database.engine.connect() as connection:
        options = {"include_object": lambda _object, name, *_: name != "conversation_search"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Table.metadata) == []
    database.close()
