"""The tables of conversations: a tree of items each, tags, and the text that is searched."""

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from playground.store.owned import Owned
from playground.store.tables import Table


class ConversationRow(Owned, Table):
    """A conversation. ``head_id`` is the item that it is shown up to; times are seconds since the
    epoch; ``folder`` is empty for none."""

    __tablename__ = "conversations"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text, default="")
    kind: Mapped[str] = mapped_column(String(16))
    folder: Mapped[str] = mapped_column(String(128), default="")
    archived: Mapped[bool] = mapped_column(Boolean, default=False)
    model: Mapped[str] = mapped_column(String(256), default="")
    system: Mapped[str] = mapped_column(Text, default="")
    tools: Mapped[list[dict[str, object]]] = mapped_column(JSON, default=list)
    facts: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    head_id: Mapped[str | None] = mapped_column(String(128))
    created: Mapped[float] = mapped_column(Float)
    updated: Mapped[float] = mapped_column(Float)
    __table_args__ = (
        Index("conversations_by_id", "id", unique=True),
        Index("conversations_by_time", "archived", "updated", "number"),
        Index("conversations_by_folder", "folder", "archived", "updated"),
    )


class ConversationItemRow(Table):
    """An item in the form of OpenAI's Responses API. ``key`` is the hash of what it says, by which
    a branch that is there already is found again; ``about`` is what is known of it beside that."""

    __tablename__ = "conversation_items"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    conversation: Mapped[int] = mapped_column(ForeignKey("conversations.number"))
    id: Mapped[str] = mapped_column(String(128))
    parent_id: Mapped[str | None] = mapped_column(String(128))
    key: Mapped[str] = mapped_column(String(64))
    created: Mapped[float] = mapped_column(Float)
    item: Mapped[dict[str, object]] = mapped_column(JSON)
    about: Mapped[dict[str, object]] = mapped_column(JSON, default=dict)
    __table_args__ = (Index("items_of_conversation", "conversation", "id", unique=True),)


class ConversationTagRow(Table):
    """A tag of a conversation."""

    __tablename__ = "conversation_tags"
    conversation: Mapped[int] = mapped_column(ForeignKey("conversations.number"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(64), primary_key=True)
    __table_args__ = (Index("conversations_by_tag", "tag"),)


class ConversationTextRow(Table):
    """Title and text of a conversation, as they are searched: by FTS5 in SQLite, by an index over
    tsvector in PostgreSQL, which the migration makes."""

    __tablename__ = "conversation_texts"
    conversation: Mapped[int] = mapped_column(ForeignKey("conversations.number"), primary_key=True)
    text: Mapped[str] = mapped_column(Text, default="")
