"""Stored prompts: names, immutable numbered versions, labels that point at one.

Knows the database; knows nothing of what a version's content means, of templates or of HTTP.
"""

import datetime
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Delete, delete, func, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from playground.errors import Conflict, UnknownPrompt
from playground.store.database import Database
from playground.store.tables import PromptLabel, StoredPrompt, StoredPromptVersion

PROMPT_ID = "pmpt_"
PRODUCTION, LATEST = "production", "latest"
"""The label that a reference without a version means, and the word for the newest version."""
Content = dict[str, object]


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """One version as it was written. ``labels`` are those that point at it now."""

    prompt_id: str
    name: str
    number: int
    message: str
    created: datetime.datetime
    content: Content
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptPrompt:
    """A prompt with all its versions, the oldest first; ``labels`` maps a label to a number."""

    id: str
    name: str
    created: datetime.datetime
    tags: tuple[str, ...]
    labels: Mapping[str, int]
    versions: tuple[KeptVersion, ...]

    def version(self, wanted: int | str | None = None) -> KeptVersion:
        """Return a version by number (an integer or its digits), label or the word ``latest``;
        None means the one labelled ``production``, or the newest without such a label.

        Raises `UnknownPrompt` naming the versions and labels that there are.
        """
        newest = self.versions[-1]
        if wanted in (None, ""):
            wanted = self.labels.get(PRODUCTION, newest.number)
        if wanted == LATEST:
            return newest
        number = self.labels.get(wanted) if isinstance(wanted, str) else wanted
        if number is None and isinstance(wanted, str) and wanted.isdecimal() and len(wanted) < 10:
            number = int(wanted)
        for version in self.versions:
            if version.number == number:
                return version
        last = newest.number
        numbers = "version 1" if last == 1 else f"versions 1 to {last}"
        labels = f", labels {', '.join(self.labels)}" if self.labels else ""
        problem = f"prompt {self.name!r} has no version {str(wanted)!r}; it has {numbers}{labels}"
        raise UnknownPrompt(problem, is_version=True)


class PromptStore:
    """The prompts of one home. May be used from any thread, and by several processes."""

    def __init__(self, home: Path, url: str = "") -> None:
        self._database = Database(home, url)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def all(self) -> list[KeptPrompt]:
        """Return every prompt, by name."""
        query = select(StoredPrompt).options(*_LOADED).order_by(StoredPrompt.name)
        with self._database.reading() as session:
            return [_kept(row) for row in session.scalars(query)]

    def find(self, reference: str) -> KeptPrompt:
        """Return a prompt by id or name. Raises `UnknownPrompt`."""
        with self._database.reading() as session:
            return _kept(_row(session, reference))

    def create(
        self, name: str, content: Content, message: str, tags: Sequence[str] = ()
    ) -> KeptPrompt:
        """Store a new prompt with its version 1. Raises `Conflict` if the name is taken."""
        prompt_id = PROMPT_ID + uuid.uuid4().hex
        with self._unique_name(name) as session:
            session.add(StoredPrompt(id=prompt_id, name=name, tags=list(tags)))
            session.flush()
            _add_version(session, prompt_id, content, message)
        return self.find(prompt_id)

    def add_version(self, reference: str, content: Content, message: str) -> KeptVersion:
        """Store the next version. Raises `UnknownPrompt`."""
        prompt_id = self.find(reference).id
        with self._database.writing() as session:
            number = _add_version(session, prompt_id, content, message)
        return self.find(prompt_id).version(number)

    def label(self, reference: str, label: str, number: int) -> None:
        """Point a label at a version, whatever it pointed at before. Raises `UnknownPrompt`."""
        version = self.find(reference).version(number)
        with self._database.writing() as session:
            session.execute(_labels(version.prompt_id, label))
            session.add(PromptLabel(prompt_id=version.prompt_id, label=label, number=number))

    def remove_label(self, reference: str, label: str) -> None:
        """Take a label away; nothing happens if there is none. Raises `UnknownPrompt`."""
        prompt_id = self.find(reference).id
        with self._database.writing() as session:
            session.execute(_labels(prompt_id, label))

    def change(
        self, reference: str, name: str | None = None, tags: Sequence[str] | None = None
    ) -> KeptPrompt:
        """Rename a prompt or give it other tags. Raises `UnknownPrompt`, and `Conflict` if the
        name is taken."""
        prompt_id = self.find(reference).id
        with self._unique_name(name or "") as session:
            row = _row(session, prompt_id)
            row.name = name or row.name
            row.tags = row.tags if tags is None else list(tags)
        return self.find(prompt_id)

    def delete(self, reference: str) -> None:
        """Remove a prompt with all its versions. Raises `UnknownPrompt`."""
        with self._database.writing() as session:
            session.delete(_row(session, reference))

    @contextmanager
    def _unique_name(self, name: str) -> Iterator[Session]:
        try:
            with self._database.writing() as session:
                yield session
        except IntegrityError as error:
            raise Conflict(f"a prompt named {name!r} exists; save a version of it") from error


_LOADED = (selectinload(StoredPrompt.versions), selectinload(StoredPrompt.labels))


def _add_version(session: Session, prompt_id: str, content: Content, message: str) -> int:
    """Number it in the statement that writes it, so that two processes never take one number."""
    mine = StoredPromptVersion.prompt_id == prompt_id
    last = select(func.coalesce(func.max(StoredPromptVersion.number), 0)).where(mine)
    number: int | None = session.scalar(
        insert(StoredPromptVersion)
        .values(
            prompt_id=prompt_id,
            number=last.scalar_subquery() + 1,
            message=message,
            content=content,
        )
        .returning(StoredPromptVersion.number)
    )
    assert number is not None
    return number


def _labels(prompt_id: str, label: str) -> Delete:
    return delete(PromptLabel).where(PromptLabel.prompt_id == prompt_id, PromptLabel.label == label)


def _row(session: Session, reference: str) -> StoredPrompt:
    named = or_(StoredPrompt.id == reference, StoredPrompt.name == reference)
    found = session.scalars(select(StoredPrompt).options(*_LOADED).where(named)).first()
    if found is None:
        raise UnknownPrompt(f"there is no prompt {reference!r} here")
    return found


def _kept(row: StoredPrompt) -> KeptPrompt:
    labels = {label.label: label.number for label in row.labels}
    versions = tuple(
        KeptVersion(
            row.id,
            row.name,
            version.number,
            version.message,
            version.created,
            version.content,
            tuple(label for label, number in labels.items() if number == version.number),
        )
        for version in row.versions
    )
    return KeptPrompt(row.id, row.name, row.created, tuple(row.tags), labels, versions)
