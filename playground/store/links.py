"""Links to a demo as they are kept, and what was used of each. Knows no address and no HTTP."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from playground.errors import UnknownLink
from playground.store.database import Database
from playground.store.link_tables import LinkRow

LinkTab = Literal["chat", "compare"]
LinkState = Literal["open", "expired", "revoked", "used up"]
ID_BYTES, KEY_BYTES = 6, 32


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is kept: ``models`` in the order they are shown, times in seconds since the
    epoch, limits that are None do not hold. ``key`` signs its address."""

    id: str
    tab: str
    models: tuple[str, ...]
    created: float
    expires: float
    key: str = field(repr=False)
    system_prompt: str | None = None
    revoked: float | None = None
    max_answers: int | None = None
    max_tokens: int | None = None
    answers: int = 0
    tokens: int = 0

    @property
    def state(self) -> LinkState:
        """Whether it opens anything now, and why not."""
        if self.revoked is not None:
            return "revoked"
        if self.expires <= time.time():
            return "expired"
        return "used up" if self.is_used_up else "open"

    @property
    def is_used_up(self) -> bool:
        """Whether its answers or its tokens are spent."""
        return (self.max_answers is not None and self.answers >= self.max_answers) or (
            self.max_tokens is not None and self.tokens >= self.max_tokens
        )


class Links:
    """The links of one home. May be used from any thread, and by several processes."""

    def __init__(self, home: Path, url: str = "") -> None:
        self._database = Database(home, url)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(
        self,
        tab: LinkTab,
        models: Sequence[str],
        expires: float,
        *,
        system_prompt: str | None = None,
        max_answers: int | None = None,
        max_tokens: int | None = None,
    ) -> Link:
        """Keep a new link."""
        row = LinkRow(
            id=secrets.token_hex(ID_BYTES), key=secrets.token_hex(KEY_BYTES), tab=tab,
            models=list(models), system_prompt=system_prompt, created=time.time(), expires=expires,
            max_answers=max_answers, max_tokens=max_tokens, answers=0, tokens=0,
        )  # fmt: skip
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            return _link(row)

    def all(self) -> list[Link]:
        """Return all links, the newest first, those that are closed too."""
        with self._database.reading() as session:
            rows = session.scalars(select(LinkRow).order_by(LinkRow.created.desc()))
            return [_link(row) for row in rows]

    def find(self, link_id: str) -> Link:
        """Return a link. Raises `UnknownLink`."""
        with self._database.reading() as session:
            return _link(_row(session, link_id))

    def revoke(self, link_id: str) -> Link:
        """Make a link open nothing from now on. Raises `UnknownLink`."""
        with self._database.writing() as session:
            row = _row(session, link_id)
            row.revoked = row.revoked or time.time()
            return _link(row)

    def begin_answer(self, link_id: str) -> bool:
        """Count an answer if the link is open; returns whether it is. One statement, so that
        requests at the same moment cannot take more than there is."""
        open_now = (
            (LinkRow.id == link_id)
            & LinkRow.revoked.is_(None)
            & (LinkRow.expires > time.time())
            & or_(LinkRow.max_answers.is_(None), LinkRow.answers < LinkRow.max_answers)
            & or_(LinkRow.max_tokens.is_(None), LinkRow.tokens < LinkRow.max_tokens)
        )
        counted = update(LinkRow).where(open_now).values(answers=LinkRow.answers + 1)
        with self._database.writing() as session:
            found = session.scalars(counted.returning(LinkRow.id)).all()
        return bool(found)

    def add_tokens(self, link_id: str, tokens: int) -> None:
        """Count the tokens of an answer."""
        self._change(link_id, tokens=LinkRow.tokens + tokens)

    def give_back(self, link_id: str) -> None:
        """Take back an answer that never began."""
        self._change(link_id, answers=LinkRow.answers - 1)

    def _change(self, link_id: str, **values: ColumnElement[int]) -> None:
        with self._database.writing() as session:
            session.execute(update(LinkRow).where(LinkRow.id == link_id).values(**values))


def _row(session: Session, link_id: str) -> LinkRow:
    row = session.get(LinkRow, link_id)
    if row is None:
        raise UnknownLink(link_id)
    return row


def _link(row: LinkRow) -> Link:
    return Link(
        row.id, row.tab, tuple(row.models), row.created, row.expires, row.key, row.system_prompt,
        row.revoked, row.max_answers, row.max_tokens, row.answers, row.tokens,
    )  # fmt: skip
