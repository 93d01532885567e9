"""Votes, thumbs and edits: kept with what made each answer, and turned into rows to train on.

Knows the database; knows no model and no page.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from playground.errors import InvalidRequest
from playground.protocol import Message, Provenance, Tool, ToolCall
from playground.store.database import open_database
from playground.store.tables import Answer, Edit, Exchange, Thumb, Vote

Verdict = Literal["best", "tie", "all bad"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer to keep: who was asked how, and what came. ``settings`` are the sampling's."""

    model: str
    text: str
    provenance: Provenance = field(default_factory=Provenance)
    system: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer's id, by which it is judged."""

    id: str
    lane: int
    model: str
    text: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class KeptExchange:
    """A conversation with its answers, in the order of the lanes."""

    id: str
    answers: tuple[KeptAnswer, ...]


class Feedback:
    """The feedback of one home. May be used from any thread."""

    def __init__(self, home: Path) -> None:
        self._engine = open_database(home)
        self._sessions = sessionmaker(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def keep(
        self,
        messages: Sequence[Message],
        answers: Sequence[NewAnswer],
        tools: Sequence[Tool] = (),
        *,
        blind: bool = False,
    ) -> KeptExchange:
        """Keep a conversation (without system prompt) and its answers."""
        with self._sessions.begin() as session:
            exchange = _new(uuid.uuid4().hex, messages, answers, tools, blind=blind)
            session.add(exchange)
            return _kept(exchange)

    def rate(self, messages: Sequence[Message], answer: NewAnswer, *, up: bool) -> None:
        """A thumb for an answer that is not kept yet; a later one on the same counts instead."""
        told = json.dumps([[m.to_openai() for m in messages], answer.model, answer.text])
        own = hashlib.sha256(told.encode()).hexdigest()[:32]
        with self._sessions.begin() as session:
            exchange = session.get(Exchange, own)
            if exchange is None:
                exchange = _new(own, messages, [answer], (), blind=False)
                session.add(exchange)
            exchange.answers[0].thumbs = [Thumb(up=up)]

    def vote(self, exchange_id: str, verdict: Verdict, winner_id: str | None = None) -> None:
        """Say which answer was best; a later vote on the same exchange counts instead.

        Raises `InvalidRequest` if there is no such exchange, or the winner is none of its answers.
        """
        with self._sessions.begin() as session:
            exchange = session.get(Exchange, exchange_id)
            if exchange is None:
                raise InvalidRequest("exchange_id", f"{exchange_id!r} is not kept here")
            if (verdict == "best") != (winner_id is not None):
                raise InvalidRequest("winner_id", "goes with the verdict best, and only with it")
            if winner_id and winner_id not in {each.id for each in exchange.answers}:
                raise InvalidRequest("winner_id", f"{winner_id!r} is no answer of this exchange")
            exchange.votes = [Vote(verdict=verdict, winner_id=winner_id)]

    def thumb(self, answer_id: str, *, up: bool) -> None:
        """Say that an answer is good, or is not. Raises `InvalidRequest` for an unknown one."""
        with self._sessions.begin() as session:
            _answer(session, answer_id).thumbs = [Thumb(up=up)]

    def edit(self, answer_id: str, text: str) -> None:
        """Say what an answer should have been. Raises `InvalidRequest` for an unknown one."""
        if not text.strip():
            raise InvalidRequest("text", "is empty")
        with self._sessions.begin() as session:
            answer = _answer(session, answer_id)
            answer.edits = [] if text == answer.text else [Edit(text=text)]

    def counts(self) -> dict[str, int]:
        """How much is kept, by kind."""
        with self._sessions() as session:
            return {
                kind.__tablename__: len(session.scalars(select(kind.id)).all())
                for kind in (Vote, Thumb, Edit)
            }

    def wins(self) -> dict[str, dict[str, int]]:
        """By model: votes ``won``, ``lost`` and ``even``."""
        found: dict[str, dict[str, int]] = {}
        with self._sessions() as session:
            for exchange in _exchanges(session):
                for vote in exchange.votes:
                    for each in exchange.answers:
                        score = found.setdefault(each.model, {"won": 0, "lost": 0, "even": 0})
                        even = vote.winner_id is None
                        score["even" if even else _outcome(each.id == vote.winner_id)] += 1
        return found

    def preference_rows(self) -> list[Row]:
        """Rows for DPO: a vote's winner over each other answer, an edit over what it mends.

        A pair is asked with the system prompt of the preferred answer.
        """
        rows: list[Row] = []
        with self._sessions() as session:
            for exchange in _exchanges(session):
                for better, worse in _pairs(exchange):
                    asked: Row = {"messages": _asked(exchange, better.system)}
                    if exchange.tools:
                        asked["tools"] = exchange.tools
                    row = {
                        "input": asked,
                        "preferred_output": [better.message],
                        "non_preferred_output": [worse.message],
                    }
                    if better.message != worse.message and row not in rows:
                        rows.append(row)
        return rows

    def sft_rows(self) -> list[Row]:
        """Rows to learn: edits, winners of votes, and what got a thumb up."""
        rows: list[Row] = []
        with self._sessions() as session:
            for exchange in _exchanges(session):
                for good in _good(exchange):
                    row: Row = {"messages": [*_asked(exchange, good.system), good.message]}
                    if exchange.tools:
                        row["tools"] = exchange.tools
                    if row not in rows:
                        rows.append(row)
        return rows


def as_jsonl(rows: Sequence[Row]) -> str:
    """Rows as a file that `finetune check` reads."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@dataclass(frozen=True, slots=True)
class _Said:
    system: str
    message: Row


def _outcome(won: bool) -> str:
    return "won" if won else "lost"


def _exchanges(session: Session) -> Sequence[Exchange]:
    return session.scalars(select(Exchange).order_by(Exchange.created, Exchange.id)).all()


def _answer(session: Session, answer_id: str) -> Answer:
    found = session.get(Answer, answer_id)
    if found is None:
        raise InvalidRequest("answer_id", f"{answer_id!r} is not kept here")
    return found


def _said(answer: Answer, text: str | None = None) -> _Said:
    """An answer as it was given, or with the text that it should have had."""
    message: Row = {"role": "assistant", "content": answer.text if text is None else text}
    if answer.calls and text is None:
        message["tool_calls"] = answer.calls
    return _Said(answer.system, message)


def _asked(exchange: Exchange, system: str) -> list[Row]:
    head = [{"role": "system", "content": system}] if system else []
    return [*head, *exchange.messages]


def _pairs(exchange: Exchange) -> Iterator[tuple[_Said, _Said]]:
    by_id = {each.id: each for each in exchange.answers}
    for vote in exchange.votes:
        if vote.winner_id:
            winner = by_id[vote.winner_id]
            better = _said(winner, winner.edits[-1].text if winner.edits else None)
            yield from ((better, _said(each)) for each in exchange.answers if each is not winner)
    for answer in exchange.answers:
        for edit in answer.edits:
            yield _said(answer, edit.text), _said(answer)


def _good(exchange: Exchange) -> Iterator[_Said]:
    winners = {vote.winner_id for vote in exchange.votes}
    for answer in exchange.answers:
        if answer.edits:
            yield _said(answer, answer.edits[-1].text)
        elif answer.id in winners or any(thumb.up for thumb in answer.thumbs):
            yield _said(answer)


def _new(
    own: str,
    messages: Sequence[Message],
    answers: Sequence[NewAnswer],
    tools: Sequence[Tool],
    *,
    blind: bool,
) -> Exchange:
    return Exchange(
        id=own,
        messages=[message.to_openai() for message in messages],
        tools=[tool.to_openai() for tool in tools],
        blind=blind,
        answers=[
            Answer(
                id=uuid.uuid4().hex,
                lane=lane,
                model=each.model,
                system=each.system,
                settings=dict(each.settings),
                provenance=asdict(each.provenance),
                text=each.text,
                calls=[call.to_openai() for call in each.calls],
            )
            for lane, each in enumerate(answers)
        ],
    )


def _kept(exchange: Exchange) -> KeptExchange:
    return KeptExchange(
        exchange.id,
        tuple(
            KeptAnswer(each.id, each.lane, each.model, each.text, Provenance(**each.provenance))
            for each in exchange.answers
        ),
    )
