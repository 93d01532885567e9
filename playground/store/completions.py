"""Chat completions that were asked to be stored, with the messages that they answered. Knows the
database; knows no HTTP and no model.

The oldest are removed beyond `MAX_COMPLETIONS`, and beyond `MAX_BYTES` of all together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from playground.errors import UnknownCompletion
from playground.store.database import Database
from playground.store.retention import remove_oldest
from playground.store.tables import StoredCompletion

MAX_COMPLETIONS = 10_000
MAX_BYTES = 256 * 2**20
Item = dict[str, object]


@dataclass(frozen=True, slots=True)
class KeptCompletion:
    """A completion: OpenAI's object in ``body``, the conversation that it answers in ``messages``,
    each with an id, and ``labels``, OpenAI's metadata."""

    id: str
    model: str
    labels: Mapping[str, str]
    messages: Sequence[Item]
    body: Item


class Completions:
    """The stored completions of one home. May be used from any thread."""

    def __init__(
        self,
        home: Path,
        most: int = MAX_COMPLETIONS,
        most_bytes: int = MAX_BYTES,
        *,
        url: str = "",
    ) -> None:
        self._database = Database(home, url)
        self._most = most
        self._most_bytes = most_bytes

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def keep(self, kept: KeptCompletion) -> None:
        """Store a completion, and remove the oldest ones beyond the limits."""
        messages = list(kept.messages)
        size = len(json.dumps([messages, kept.body], ensure_ascii=False).encode())
        with self._database.writing() as session:
            session.add(
                StoredCompletion(
                    id=kept.id,
                    model=kept.model,
                    labels=dict(kept.labels),
                    messages=messages,
                    body=kept.body,
                    size=size,
                )
            )
            session.flush()
            remove_oldest(session, StoredCompletion, self._most, self._most_bytes)

    def find(self, completion_id: str) -> KeptCompletion:
        """Return a completion. Raises `UnknownCompletion`."""
        with self._database.reading() as session:
            return _kept(_row(session, completion_id))

    def page(
        self,
        limit: int,
        after: str | None = None,
        *,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
        latest_first: bool = False,
    ) -> tuple[list[KeptCompletion], bool]:
        """Return so many completions behind the one with the id ``after``, and whether there are
        more: those of a model, and with these labels. Raises `UnknownCompletion`."""
        number = StoredCompletion.number
        wanted = select(StoredCompletion).order_by(number.desc() if latest_first else number)
        if model is not None:
            wanted = wanted.where(StoredCompletion.model == model)
        for name, value in (labels or {}).items():
            wanted = wanted.where(StoredCompletion.labels[name].as_string() == value)
        with self._database.reading() as session:
            if after is not None:
                start = _row(session, after).number
                wanted = wanted.where(number < start if latest_first else number > start)
            rows = session.scalars(wanted.limit(limit + 1)).all()
            return [_kept(row) for row in rows[:limit]], len(rows) > limit

    def label(self, completion_id: str, labels: Mapping[str, str]) -> KeptCompletion:
        """Replace a completion's labels. Raises `UnknownCompletion`."""
        with self._database.writing() as session:
            row = _row(session, completion_id)
            row.labels = dict(labels)
            return _kept(row)

    def delete(self, completion_id: str) -> None:
        """Remove a completion. Raises `UnknownCompletion`."""
        with self._database.writing() as session:
            session.delete(_row(session, completion_id))


def _row(session: Session, completion_id: str) -> StoredCompletion:
    wanted = select(StoredCompletion).where(StoredCompletion.id == completion_id)
    found = session.scalar(wanted)
    if found is None:
        raise UnknownCompletion(completion_id)
    return found


def _kept(row: StoredCompletion) -> KeptCompletion:
    return KeptCompletion(row.id, row.model, row.labels, row.messages, row.body)
