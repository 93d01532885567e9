"""Feedback on answers: votes, thumbs and edits, kept with each answer's provenance.

Also makes training rows of it. Knows the database; knows no model and no page.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from playground.errors import InvalidRequest
from playground.protocol import Message, Provenance, Tool, ToolCall
from playground.store.database import Database
from playground.store.tables import Answer, Edit, Exchange, Thumb, Vote
from playground.store.viewer import current_owner

Verdict = Literal["best", "tie", "all bad"]
JsonMessage = dict[str, object]
"""A message or tool in OpenAI's form."""


class RowPrompt(TypedDict):
    """The conversation before an answer, and the tools offered."""

    messages: list[JsonMessage]
    tools: NotRequired[list[JsonMessage]]


class SftRow(RowPrompt):
    """A training row for SFT: the last message is the answer to learn."""


class PreferenceRow(TypedDict):
    """A training row for DPO, in OpenAI's form."""

    input: RowPrompt
    preferred_output: list[JsonMessage]
    non_preferred_output: list[JsonMessage]


class UnpairedRow(TypedDict):
    """A training row for KTO, in TRL's form; ``label`` is true for a thumb up."""

    prompt: list[JsonMessage]
    completion: list[JsonMessage]
    label: bool
    tools: NotRequired[list[JsonMessage]]


FeedbackRows = Literal["sft", "dpo", "kto"]
"""The training methods that feedback becomes rows for."""
LONGEST_PROMPT = 40


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer to keep, with the model, system prompt and sampling ``settings`` behind it."""

    model: str
    text: str
    provenance: Provenance = field(default_factory=Provenance)
    system: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    calls: tuple[ToolCall, ...] = ()


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
    ) -> KeptExchange:
        """Keep a conversation (without system prompt) and its answers."""
        with self._database.writing() as session:
            exchange = _new(uuid.uuid4().hex, messages, answers, tools, blind=blind)
            session.add(exchange)
            return _kept(exchange)

    def rate(self, messages: Sequence[Message], answer: NewAnswer, *, up: bool) -> None:
        """Keep an answer with a thumb; a later thumb on the same answer replaces it."""
        said = [[m.to_openai() for m in messages], answer.model, answer.text]
        content = json.dumps(said) + current_owner()  # everybody rates their own copy
        exchange_id = hashlib.sha256(content.encode()).hexdigest()[:32]
        with self._database.writing() as session:
            exchange = session.get(Exchange, exchange_id)
            if exchange is None:
                exchange = _new(exchange_id, messages, [answer], (), blind=False)
                session.add(exchange)
            exchange.answers[0].thumbs = [Thumb(up=up)]

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

    def wins(self) -> dict[str, dict[str, int]]:
        """Return votes by what was compared: ``won``, ``lost`` and ``even``.

        That is a model, or a model under one of several system prompts that met in one vote.
        """
        by_model: dict[str, dict[str, int]] = {}
        with self._database.reading() as session:
            for exchange in _exchanges(session):
                prompts = {answer.system for answer in exchange.answers}
                for vote in exchange.votes:
                    for answer in exchange.answers:
                        prompt = _shortened(answer.system) if len(prompts) > 1 else ""
                        name = f"{answer.model} · {prompt}" if prompt else answer.model
                        votes = by_model.setdefault(name, {"won": 0, "lost": 0, "even": 0})
                        votes[_outcome(vote, answer)] += 1
        return by_model

    def preference_rows(self) -> list[PreferenceRow]:
        """Return rows for DPO: a vote's winner over each other answer to the same prompt, an edit
        over its original.

        Answers under different system prompts are no preference: their prompts differ.
        """
        rows: list[PreferenceRow] = []
        with self._database.reading() as session:
            for exchange in _exchanges(session):
                for better, worse in _pairs(exchange):
                    row: PreferenceRow = {
                        "input": _prompt(exchange, better.system),
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
                for good in _good_answers(exchange):
                    prompt = _prompt(exchange, good.system)
                    row: SftRow = {**prompt, "messages": [*prompt["messages"], good.message]}
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
                        given = _as_message(answer)
                        prompt = _prompt(exchange, given.system)
                        row: UnpairedRow = {
                            "prompt": prompt["messages"],
                            "completion": [given.message],
                            "label": thumb.up,
                        }
                        if "tools" in prompt:
                            row["tools"] = prompt["tools"]
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


@dataclass(frozen=True, slots=True)
class _AnswerMessage:
    """An answer as a message, with the system prompt that it was given under."""

    system: str
    message: JsonMessage


def _shortened(system: str) -> str:
    """Return the beginning of a system prompt, by which a person tells it from another."""
    line = " ".join(system.split()) or "no system prompt"
    return line if len(line) <= LONGEST_PROMPT else f"{line[: LONGEST_PROMPT - 1]}…"


def _outcome(vote: Vote, answer: Answer) -> str:
    if vote.winner_id is None:
        return "even"
    return "won" if answer.id == vote.winner_id else "lost"


def _exchanges(session: Session) -> Sequence[Exchange]:
    return session.scalars(select(Exchange).order_by(Exchange.created, Exchange.id)).all()


def _answer(session: Session, answer_id: str) -> Answer:
    answer = session.get(Answer, answer_id)
    if answer is None:
        raise InvalidRequest("answer_id", f"{answer_id!r} was not kept")
    return answer


def _as_message(answer: Answer, text: str | None = None) -> _AnswerMessage:
    """Return an answer as it was given, or with the ``text`` that it should have had."""
    message: JsonMessage = {"role": "assistant", "content": answer.text if text is None else text}
    if answer.calls and text is None:
        message["tool_calls"] = answer.calls
    return _AnswerMessage(answer.system, message)


def _prompt(exchange: Exchange, system: str) -> RowPrompt:
    head: list[JsonMessage] = [{"role": "system", "content": system}] if system else []
    prompt: RowPrompt = {"messages": [*head, *exchange.messages]}
    if exchange.tools:
        prompt["tools"] = exchange.tools
    return prompt


def _pairs(exchange: Exchange) -> Iterator[tuple[_AnswerMessage, _AnswerMessage]]:
    by_id = {answer.id: answer for answer in exchange.answers}
    for vote in exchange.votes:
        if vote.winner_id:
            winner = by_id[vote.winner_id]
            better = _as_message(winner, winner.edits[-1].text if winner.edits else None)
            losers = (
                answer
                for answer in exchange.answers
                if answer is not winner and answer.system == winner.system
            )
            yield from ((better, _as_message(loser)) for loser in losers)
    for answer in exchange.answers:
        for edit in answer.edits:
            yield _as_message(answer, edit.text), _as_message(answer)


def _good_answers(exchange: Exchange) -> Iterator[_AnswerMessage]:
    winners = {vote.winner_id for vote in exchange.votes}
    for answer in exchange.answers:
        if answer.edits:
            yield _as_message(answer, answer.edits[-1].text)
        elif answer.id in winners or any(thumb.up for thumb in answer.thumbs):
            yield _as_message(answer)


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
