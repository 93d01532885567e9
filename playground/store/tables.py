"""The database's tables. A change here needs a migration; a test compares the two."""

import datetime

from sqlalchemy import JSON, Boolean, DateTime, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from playground.store.owned import Owned


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Table(DeclarativeBase):
    """All tables."""


class Exchange(Owned, Table):
    """A conversation and its answers, one of each compared model. ``messages`` and ``tools`` are in
    OpenAI's form; the system prompt is each answer's own. ``tags`` say what was compared."""

    __tablename__ = "exchanges"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    messages: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    tools: Mapped[list[dict[str, object]]] = mapped_column(JSON, default=list)
    blind: Mapped[bool] = mapped_column(Boolean, default=False)
    tags: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    answers: Mapped[list["Answer"]] = relationship(
        back_populates="exchange", order_by="Answer.lane", cascade="all, delete-orphan"
    )
    votes: Mapped[list["Vote"]] = relationship(cascade="all, delete-orphan", order_by="Vote.id")


class Answer(Table):
    """An answer with its model, sampling settings (with the seed) and hashes of the weights.
    ``prompt`` is ``NAME@VERSION`` of a stored prompt, ``messages`` the conversation before it where
    that is not the exchange's."""

    __tablename__ = "answers"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    exchange_id: Mapped[str] = mapped_column(ForeignKey("exchanges.id"))
    lane: Mapped[int] = mapped_column(Integer)
    model: Mapped[str] = mapped_column(String(256))
    system: Mapped[str] = mapped_column(Text, default="")
    settings: Mapped[dict[str, object]] = mapped_column(JSON, default=dict)
    provenance: Mapped[dict[str, object]] = mapped_column(JSON, default=dict)
    text: Mapped[str] = mapped_column(Text)
    calls: Mapped[list[dict[str, object]]] = mapped_column(JSON, default=list)
    prompt: Mapped[str] = mapped_column(String(256), default="", server_default="")
    messages: Mapped[list[dict[str, object]] | None] = mapped_column(
        JSON(none_as_null=True), default=None
    )
    exchange: Mapped[Exchange] = relationship(back_populates="answers")
    edits: Mapped[list["Edit"]] = relationship(cascade="all, delete-orphan", order_by="Edit.id")
    thumbs: Mapped[list["Thumb"]] = relationship(cascade="all, delete-orphan", order_by="Thumb.id")
    __table_args__ = (Index("answers_by_exchange", "exchange_id"),)


class Vote(Table):
    """A vote for the best answer; ``winner_id`` is null where all were equally good, or bad."""

    __tablename__ = "votes"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    exchange_id: Mapped[str] = mapped_column(ForeignKey("exchanges.id"))
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    verdict: Mapped[str] = mapped_column(String(16))
    winner_id: Mapped[str | None] = mapped_column(ForeignKey("answers.id"))
    __table_args__ = (Index("votes_by_exchange", "exchange_id"),)


class Thumb(Table):
    """A thumb up or down for an answer."""

    __tablename__ = "thumbs"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"))
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    up: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (Index("thumbs_by_answer", "answer_id"),)


class Edit(Table):
    """The text that an answer should have had."""

    __tablename__ = "edits"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"))
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    text: Mapped[str] = mapped_column(Text)
    __table_args__ = (Index("edits_by_answer", "answer_id"),)


class StoredResponse(Owned, Table):
    """A response of ``/v1/responses`` with its own input items. ``number`` grows; ``size`` is in
    bytes of JSON."""

    __tablename__ = "responses"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(64))
    previous_id: Mapped[str | None] = mapped_column(String(64))
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    input: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    body: Mapped[dict[str, object]] = mapped_column(JSON)
    size: Mapped[int] = mapped_column(Integer)
    __table_args__ = (Index("responses_by_id", "id", unique=True),)


class StoredPrompt(Table):
    """A prompt's name; what it says is in its versions."""

    __tablename__ = "prompts"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    versions: Mapped[list["StoredPromptVersion"]] = relationship(
        cascade="all, delete-orphan", order_by="StoredPromptVersion.number"
    )
    labels: Mapped[list["PromptLabel"]] = relationship(
        cascade="all, delete-orphan", order_by="PromptLabel.label"
    )
    __table_args__ = (Index("prompts_by_name", "name", unique=True),)


class StoredPromptVersion(Table):
    """A version of a prompt, never changed once it is written. ``content`` is the JSON of
    `playground.lab.prompt_content`; ``number`` counts from 1 within the prompt."""

    __tablename__ = "prompt_versions"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"))
    number: Mapped[int] = mapped_column(Integer)
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    message: Mapped[str] = mapped_column(Text, default="")
    content: Mapped[dict[str, object]] = mapped_column(JSON)
    __table_args__ = (Index("prompt_versions_by_number", "prompt_id", "number", unique=True),)


class PromptLabel(Table):
    """A word, such as ``production``, that points at a version of a prompt."""

    __tablename__ = "prompt_labels"
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), primary_key=True)
    label: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)


class StoredBatch(Owned, Table):
    """A batch of requests. ``number`` grows; ``times`` holds by name the seconds since the epoch at
    which it came to a state; ``problems`` are OpenAI's error objects, each with its line."""

    __tablename__ = "batches"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    status: Mapped[str] = mapped_column(String(16))
    endpoint: Mapped[str] = mapped_column(String(64))
    input_file_id: Mapped[str] = mapped_column(String(64))
    window: Mapped[str] = mapped_column(String(16))
    window_s: Mapped[int] = mapped_column(Integer)
    labels: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    model: Mapped[str] = mapped_column(String(256), default="")
    output_expires_s: Mapped[int | None] = mapped_column(Integer)
    output_file_id: Mapped[str | None] = mapped_column(String(64))
    error_file_id: Mapped[str | None] = mapped_column(String(64))
    times: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    problems: Mapped[list[dict[str, object]]] = mapped_column(JSON, default=list)
    total: Mapped[int] = mapped_column(Integer, default=0)
    completed: Mapped[int] = mapped_column(Integer, default=0)
    failed: Mapped[int] = mapped_column(Integer, default=0)
    usage: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    __table_args__ = (Index("batches_by_id", "id", unique=True),)


class BatchResult(Table):
    """The line of output or error that one request of a batch gave, until the batch ends."""

    __tablename__ = "batch_results"
    batch_number: Mapped[int] = mapped_column(ForeignKey("batches.number"), primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    ok: Mapped[bool] = mapped_column(Boolean)
    text: Mapped[str] = mapped_column(Text)


class StoredCompletion(Owned, Table):
    """A chat completion that was to be stored, with the messages that it answered, each with an
    id. ``number`` grows; ``size`` is in bytes of JSON."""

    __tablename__ = "chat_completions"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), default=_now)
    model: Mapped[str] = mapped_column(String(256))
    labels: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    messages: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    body: Mapped[dict[str, object]] = mapped_column(JSON)
    size: Mapped[int] = mapped_column(Integer)
    __table_args__ = (Index("chat_completions_by_id", "id", unique=True),)
