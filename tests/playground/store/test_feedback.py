"""Votes, thumbs and edits are kept with what made the answers, and become rows to train on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from finetune.data.rows import read_rows
from finetune.data.training_row import UnpairedPreference
from playground.cli import cli
from playground.errors import InvalidRequest
from playground.protocol import Message, Provenance, Tool, ToolCall
from playground.store import Feedback, KeptExchange, NewAnswer
from playground.store.conversation_tables import ConversationRow
from playground.store.database import open_database
from playground.store.feedback import Contender, as_jsonl
from playground.store.tables import Table

ASKED = (Message("user", "What is the price of the Zolpar?"),)
BASE = NewAnswer("embedded", "I do not know.", Provenance("b", "nf4"), system="Be brief.")
ADAPTER = NewAnswer(
    "embedded:prices",
    "41 euros.",
    Provenance("b", "nf4", "prices", "h"),
    system="Be brief.",
    settings={"seed": 3},
)


@pytest.fixture
def feedback(tmp_path: Path) -> Iterator[Feedback]:
    opened = Feedback(tmp_path)
    yield opened
    opened.close()


def kept(feedback: Feedback) -> KeptExchange:
    return feedback.keep(ASKED, (BASE, ADAPTER), blind=True)


def test_migrations_equal_tables(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    with engine.connect() as connection:
        # The search's virtual table and those that SQLite keeps behind it are the migration's own.
        options = {"include_name": lambda name, *_: not str(name).startswith("conversation_search")}
        context = MigrationContext.configure(connection, opts=options)
        assert ConversationRow.__tablename__ in Table.metadata.tables
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def test_feedback_survives_restart(tmp_path: Path) -> None:
    first = Feedback(tmp_path)
    exchange = kept(first)
    first.vote(exchange.id, "best", exchange.answers[1].id)
    first.close()
    again = Feedback(tmp_path)
    (vote,) = again.votes()
    assert vote.winner is not None
    assert vote.contenders[vote.winner] == Contender("embedded:prices", "Be brief.")
    assert exchange.answers[1].provenance == ADAPTER.provenance
    again.close()


def test_vote_replaced_by_later_vote(feedback: Feedback) -> None:
    exchange = kept(feedback)
    feedback.vote(exchange.id, "tie")
    assert feedback.preference_rows() == []
    feedback.vote(exchange.id, "best", exchange.answers[1].id)
    (row,) = feedback.preference_rows()
    assert [m["content"] for m in row["input"]["messages"]] == ["Be brief.", ASKED[0].content]
    assert row["preferred_output"][0]["content"] == "41 euros."
    assert row["non_preferred_output"][0]["content"] == "I do not know."
    assert feedback.counts() == {"votes": 1, "thumbs": 0, "edits": 0}


def test_votes_on_two_prompts_are_told_apart(feedback: Feedback) -> None:
    plain = NewAnswer("embedded", "This loop adds.")
    pirate = NewAnswer("embedded", "Arr!", system="You are a pirate.")
    exchange = feedback.keep(ASKED, (plain, pirate))
    feedback.vote(exchange.id, "best", exchange.answers[0].id)
    (vote,) = feedback.votes()
    assert vote.contenders == (
        Contender("embedded"),
        Contender("embedded", "You are a pirate."),
    )
    assert vote.winner == 0
    assert feedback.preference_rows() == []  # they answer different prompts


def test_own_conversations_are_no_preference(feedback: Feedback) -> None:
    asked, again = Message("user", "Price?"), Message("user", "Sure?")
    said = [Message("assistant", text) for text in ("41.", "42.")]
    answers = [
        NewAnswer("embedded", f"Yes {n}.", messages=(asked, each, again))
        for n, each in enumerate(said)
    ]
    exchange = feedback.keep((asked, again), answers)
    feedback.vote(exchange.id, "best", exchange.answers[1].id)
    assert feedback.preference_rows() == []
    (row,) = feedback.sft_rows()
    assert [each["content"] for each in row["messages"]] == ["Price?", "42.", "Sure?", "Yes 1."]


def test_tags_stay_with_votes(feedback: Feedback) -> None:
    exchange = feedback.keep(ASKED, (BASE, ADAPTER), tags=["code", " code ", ""])
    feedback.vote(exchange.id, "tie")
    (vote,) = feedback.votes()
    assert (vote.tags, vote.winner) == (("code",), None)
    with pytest.raises(InvalidRequest, match="64 characters"):
        feedback.keep(ASKED, (BASE,), tags=["x" * 65])


def test_edit_preferred_to_original(feedback: Feedback) -> None:
    exchange = kept(feedback)
    feedback.edit(exchange.answers[0].id, "It costs 41 euros.")
    (row,) = feedback.preference_rows()
    assert row["preferred_output"][0]["content"] == "It costs 41 euros."
    (learned,) = feedback.sft_rows()
    assert [m["content"] for m in learned["messages"]] == [
        "Be brief.",
        ASKED[0].content,
        "It costs 41 euros.",
    ]
    feedback.edit(exchange.answers[0].id, BASE.text)  # as it was: no edit any more
    assert feedback.sft_rows() == []


def test_thumbs_up_are_learned_and_thumbs_down_are_not(feedback: Feedback) -> None:
    exchange = kept(feedback)
    feedback.thumb(exchange.answers[0].id, up=False)
    feedback.thumb(exchange.answers[1].id, up=True)
    assert [row["messages"][-1]["content"] for row in feedback.sft_rows()] == ["41 euros."]
    feedback.thumb(exchange.answers[1].id, up=False)
    assert feedback.sft_rows() == []


def test_thumbs_become_labelled_rows(feedback: Feedback, tmp_path: Path) -> None:
    exchange = kept(feedback)
    feedback.thumb(exchange.answers[0].id, up=False)
    feedback.thumb(exchange.answers[1].id, up=True)
    kept(feedback)  # without a thumb
    path = tmp_path / "kto.jsonl"
    path.write_text(as_jsonl(feedback.rows_for("kto")))
    bad, good = read_rows(path).rows
    assert isinstance(bad, UnpairedPreference)
    assert isinstance(good, UnpairedPreference)
    assert (bad.label, good.label) == (False, True)
    assert [message.content for message in bad.messages] == ["Be brief.", ASKED[0].content]
    assert good.completion.content == "41 euros."


def test_command_prints_thumbs_as_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Feedback(tmp_path)
    exchange = kept(opened)
    opened.thumb(exchange.answers[0].id, up=False)
    opened.close()
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    cli(["feedback", "--method", "kto"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["label"] is False


def test_exported_rows_are_rows_that_training_reads(feedback: Feedback, tmp_path: Path) -> None:
    call = ToolCall("abcdefghi", "price", '{"name": "Zolpar"}')
    tool = Tool("price", "The price", {"type": "object", "properties": {}})
    one = kept(feedback)
    feedback.vote(one.id, "best", one.answers[1].id)
    two = feedback.keep(
        ASKED, (BASE, NewAnswer("m", "", system="Be brief.", calls=(call,))), (tool,)
    )
    feedback.vote(two.id, "best", two.answers[1].id)
    for name, rows in (("sft", feedback.sft_rows()), ("dpo", feedback.preference_rows())):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(as_jsonl(rows))
        read = read_rows(path)
        assert not read.errors
        assert len(read.rows) == 2
    assert len(read.preferences) == 2
    assert read.preferences[1].chosen.tool_calls


@pytest.mark.parametrize(
    "wrong",
    [
        lambda f, e: f.vote("nothing", "tie"),
        lambda f, e: f.vote(e.id, "best"),
        lambda f, e: f.vote(e.id, "best", "nothing"),
        lambda f, e: f.vote(e.id, "tie", e.answers[0].id),
        lambda f, e: f.thumb("nothing", up=True),
        lambda f, e: f.edit("nothing", "text"),
        lambda f, e: f.edit(e.answers[0].id, "  "),
    ],
)
def test_feedback_unknown_id_refused(feedback: Feedback, wrong: object) -> None:
    exchange = kept(feedback)
    with pytest.raises(InvalidRequest):
        wrong(feedback, exchange)  # type: ignore[operator]
    assert feedback.counts() == {"votes": 0, "thumbs": 0, "edits": 0}
