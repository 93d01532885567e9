"""The table of links to a demo: what each opens, and how much of it is left."""

from sqlalchemy import JSON, Float, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from playground.store.tables import Table


class LinkRow(Table):
    """A link. ``key`` signs its address; times are seconds since the epoch, null is no limit."""

    __tablename__ = "links"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    tab: Mapped[str] = mapped_column(String(16))
    models: Mapped[list[str]] = mapped_column(JSON)
    system_prompt: Mapped[str | None] = mapped_column(Text)
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float)
    revoked: Mapped[float | None] = mapped_column(Float)
    max_answers: Mapped[int | None] = mapped_column(Integer)
    max_tokens: Mapped[int | None] = mapped_column(Integer)
    answers: Mapped[int] = mapped_column(Integer)
    tokens: Mapped[int] = mapped_column(Integer)
