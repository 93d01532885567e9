"""The table of usage: a row for each answer, without a word of what was said."""

from sqlalchemy import Float, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from playground.store.owned import Owned
from playground.store.tables import Table


class UsageRow(Owned, Table):
    """What one answer took. ``ended`` is in seconds since the epoch, ``second`` the same as a whole
    number; ``first_token_s`` and ``total_s`` are from its arrival, ``running_s`` is without
    waiting for a slot. ``server`` is the alias of another server, empty for this one; ``prompt``
    is ``NAME@VERSION``; ``key`` an API key's id."""

    __tablename__ = "usage"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    ended: Mapped[float] = mapped_column(Float)
    second: Mapped[int] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(256))
    server: Mapped[str] = mapped_column(String(64))
    adapter_hash: Mapped[str] = mapped_column(String(64))
    prompt: Mapped[str] = mapped_column(String(256))
    conversation: Mapped[str] = mapped_column(String(64))
    finish_reason: Mapped[str] = mapped_column(String(16))
    prompt_tokens: Mapped[int] = mapped_column(Integer)
    cached_tokens: Mapped[int] = mapped_column(Integer)
    completion_tokens: Mapped[int] = mapped_column(Integer)
    first_token_s: Mapped[float] = mapped_column(Float)
    total_s: Mapped[float] = mapped_column(Float)
    running_s: Mapped[float] = mapped_column(Float)
    __table_args__ = (
        Index("usage_by_time", "second"),
        Index("usage_by_conversation", "conversation"),
        Index("usage_by_owner", "owner", "second"),
        Index("usage_by_key", "key", "second"),
    )
