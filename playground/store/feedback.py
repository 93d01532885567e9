"""Feedback on answers: votes, thumbs and edits, kept with each answer's provenance.

Also makes training rows of it. Knows the database; knows no model and no page.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from playground.errors import InvalidRequest
from playground.protocol import Message, Provenance, Tool, ToolCall
from playground.store.database import Database
from playground.store.feedback_rows import (
    FeedbackRows,
    PreferenceRow,
    SftRow,
    UnpairedRow,
    as_given,
    good_answers,
    pairs,
)
from playground.store.tables import Answer, Edit, Exchange, Thumb, Vote
from playground.store.viewer import current_owner

Verdict = Literal["best", "tie", "all bad"]
LONGEST_PROMPT = 40
MAX_TAGS, MAX_TAG_CHARACTERS = 32, 64


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer to keep, with the model, system prompt and sampling ``settings`` behind it.

    ``prompt`` names the stored prompt that asked, as ``NAME@VERSION``. ``messages`` is the
    conversation before the answer, without system prompt, where that is its own.
    """

    model: str
    text: str
    provenance: Provenance = field(default_factory=Provenance)
    system: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    calls: tuple[ToolCall, ...] = ()
    prompt: str = ""
    messages: tuple[Message, ...] | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """What a vote is about: a model under a prompt. ``prompt`` is that of a stored prompt, or the
    beginning of a system prompt, empty for none."""

    model: str
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class CountedVote:
    """A vote over the answers of ``contenders``; ``winner`` is a place among them, None where all
    were equally good, or bad."""

    contenders: tuple[Contender, ...]
    winner: int | None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that is kept, with the id that votes, thumbs and edits name."""

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

    def __init__(self, home: Path, url: str = "") -> None:
        self._database = Database(home, url)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def keep(
        self,
        messages: Sequence[Message],
        answers: Sequence[NewAnswer],
        tools: Sequence[Tool] = (),
        *,
        blind: bool = False,
        tags: Sequence[str] = (),
    ) -> KeptExchange:
        """Keep a conversation (without system prompt) and its answers. Raises `InvalidRequest` for
        too many or too long tags."""
        with self._database.writing() as session:
            exchange = _new(uuid.uuid4().hex, messages, answers, tools, blind=blind)
            exchange.tags = _tags(tags)
            session.add(exchange)
            return _kept(exchange)

    def rate(self, messages: Sequence[Message], answer: NewAnswer, *, up: bool | None) -> None:
        """Keep an answer with a thumb; a later thumb on the same answer replaces it, and None takes
        it back."""
        said = [[m.to_openai() for m in messages], answer.model, answer.text]
        content = json.dumps(said) + current_owner()  # everybody rates their own copy
        exchange_id = hashlib.sha256(content.encode()).hexdigest()[:32]
        with self._database.writing() as session:
            exchange = session.get(Exchange, exchange_id)
            if exchange is None:
                exchange = _new(exchange_id, messages, [answer], (), blind=False)
                session.add(exchange)
            exchange.answers[0].thumbs = [] if up is None else [Thumb(up=up)]

    def vote(self, exchange_id: str, verdict: Verdict, winner_id: str | None = None) -> None:
        """Keep which answer was best; a later vote on the same exchange replaces it.

        Raises `InvalidRequest` if there is no such exchange, or the winner is none of its answers.
        """
        with self._database.writing() as session:
            exchange = session.get(Exchange, exchange_id)
            if exchange is None:
                raise InvalidRequest("exchange_id", f"{exchange_id!r} was not kept")
            if (verdict == "best") != (winner_id is not None):
                raise InvalidRequest(
                    "winner_id", "is given with the verdict best, and only with it"
                )
            if winner_id and winner_id not in {answer.id for answer in exchange.answers}:
                raise InvalidRequest(
                    "winner_id", f"{winner_id!r} is not an answer of this exchange"
                )
            exchange.votes = [Vote(verdict=verdict, winner_id=winner_id)]

    def thumb(self, answer_id: str, *, up: bool) -> None:
        """Keep a thumb up or down. Raises `InvalidRequest` for an unknown one."""
        with self._database.writing() as session:
            _answer(session, answer_id).thumbs = [Thumb(up=up)]

    def edit(self, answer_id: str, text: str) -> None:
        """Keep what an answer should have been. Raises `InvalidRequest` for an unknown one."""
        if not text.strip():
            raise InvalidRequest("text", "is empty")
        with self._database.writing() as session:
            answer = _answer(session, answer_id)
            answer.edits = [] if text == answer.text else [Edit(text=text)]

    def counts(self) -> dict[str, int]:
        """Return the number of votes, thumbs and edits."""
        with self._database.reading() as session:
            return {
                kind.__tablename__: len(session.scalars(select(kind.id)).all())
                for kind in (Vote, Thumb, Edit)
            }

    def votes(self) -> list[CountedVote]:
        """Return all votes with what they are about, the earliest first."""
        with self._database.reading() as session:
            return [
                _counted(exchange, vote)
                for exchange in session.scalars(_BY_TIME.where(Exchange.votes.any()))
                for vote in exchange.votes
            ]

    def preference_rows(self) -> list[PreferenceRow]:
        """Return rows for DPO: a vote's winner over each other answer to the same prompt, an edit
        over its original.

        Answers under different system prompts, or in conversations that went different ways, are no
        preference: their prompts differ.
        """
        rows: list[PreferenceRow] = []
        with self._database.reading() as session:
            for exchange in _exchanges(session):
                for better, worse in pairs(exchange):
                    row: PreferenceRow = {
                        "input": better.prompt,
                        "preferred_output": [better.message],
                        "non_preferred_output": [worse.message],
                    }
                    if better.message != worse.message and row not in rows:
                        rows.append(row)
        return rows

    def sft_rows(self) -> list[SftRow]:
        """Return rows for SFT: edits, winners of votes, and answers with a thumb up."""
        rows: list[SftRow] = []
        with self._database.reading() as session:
            for exchange in _exchanges(session):
                for good in good_answers(exchange):
                    messages = [*good.prompt["messages"], good.message]
                    row: SftRow = {**good.prompt, "messages": messages}
                    if row not in rows:
                        rows.append(row)
        return rows

    def unpaired_rows(self) -> list[UnpairedRow]:
        """Return rows for KTO: each answer with a thumb, as it was given."""
        rows: list[UnpairedRow] = []
        with self._database.reading() as session:
            for exchange in _exchanges(session):
                for answer in exchange.answers:
                    for thumb in answer.thumbs:
                        given = as_given(answer)
                        row: UnpairedRow = {
                            "prompt": given.prompt["messages"],
                            "completion": [given.message],
                            "label": thumb.up,
                        }
                        if "tools" in given.prompt:
                            row["tools"] = given.prompt["tools"]
                        rows.append(row)
        return rows

    def rows_for(self, method: FeedbackRows) -> Sequence[Mapping[str, object]]:
        """Return the rows that this training method takes."""
        if method == "kto":
            return self.unpaired_rows()
        return self.preference_rows() if method == "dpo" else self.sft_rows()


def as_jsonl(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as the text of a file that `finetune check` reads."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _prompt_of(answer: Answer) -> str:
    """Return the stored prompt's name, or the beginning of the system prompt."""
    line = answer.prompt or " ".join(answer.system.split())
    return line if len(line) <= LONGEST_PROMPT else f"{line[: LONGEST_PROMPT - 1]}…"


def _counted(exchange: Exchange, vote: Vote) -> CountedVote:
    ids = [answer.id for answer in exchange.answers]
    return CountedVote(
        tuple(Contender(each.model, _prompt_of(each)) for each in exchange.answers),
        ids.index(vote.winner_id) if vote.winner_id else None,
        tuple(exchange.tags),
    )


def _tags(tags: Sequence[str]) -> list[str]:
    cleaned = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(cleaned) > MAX_TAGS or any(len(tag) > MAX_TAG_CHARACTERS for tag in cleaned):
        raise InvalidRequest("tags", f"{MAX_TAGS} at most, {MAX_TAG_CHARACTERS} characters each")
    return cleaned


_BY_TIME = select(Exchange).order_by(Exchange.created, Exchange.id)


def _exchanges(session: Session) -> Sequence[Exchange]:
    return session.scalars(_BY_TIME).all()


def _answer(session: Session, answer_id: str) -> Answer:
    answer = session.get(Answer, answer_id)
    if answer is None:
        raise InvalidRequest("answer_id", f"{answer_id!r} was not kept")
    return answer


def _new(
    exchange_id: str,
    messages: Sequence[Message],
    answers: Sequence[NewAnswer],
    tools: Sequence[Tool],
    *,
    blind: bool,
) -> Exchange:
    return Exchange(
        id=exchange_id,
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
                prompt=each.prompt,
                messages=None
                if each.messages is None
                else [message.to_openai() for message in each.messages],
            )
            for lane, each in enumerate(answers)
        ],
    )


def _kept(exchange: Exchange) -> KeptExchange:
    return KeptExchange(
        exchange.id,
        tuple(
            KeptAnswer(
                answer.id,
                answer.lane,
                answer.model,
                answer.text,
                Provenance.parse(answer.provenance),
            )
            for answer in exchange.answers
        ),
    )
