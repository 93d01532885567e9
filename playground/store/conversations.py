"""Conversations: kept, listed, searched, changed, forked and deleted. Knows the database; knows no
page, no HTTP and no file format.

A conversation is a tree of items. What is said after a retry or an edit is a branch beside the one
before; ``head_id`` is the end of the branch that is shown. Several processes may write to one
conversation: each adds its items, and none removes another's.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Select, delete, func, select, tuple_
from sqlalchemy.orm import Session

from playground.errors import Conflict
from playground.store.conversation_rows import (
    MAX_FOLDER,
    add_items,
    add_row,
    add_text,
    cleaned,
    cleaned_item,
    conversation_of,
    kept_item,
    named,
    row_of,
    set_tags,
    summary_of,
    tags_of,
    title_of,
    titled,
    write_text,
)
from playground.store.conversation_search import found_in, snippets, words_of
from playground.store.conversation_tables import (
    ConversationItemRow,
    ConversationRow,
    ConversationTagRow,
    ConversationTextRow,
)
from playground.store.conversation_types import (
    Conversation,
    KeptItem,
    NewConversation,
    NewItem,
    Page,
    Summary,
    Wanted,
)
from playground.store.database import WAIT_S, Database
from playground.store.owned import EVERYBODYS

OF_A_SUMMARY = (
    ConversationRow.number, ConversationRow.id, ConversationRow.title, ConversationRow.kind,
    ConversationRow.folder, ConversationRow.archived, ConversationRow.model,
    ConversationRow.created, ConversationRow.updated, ConversationRow.facts,
)  # fmt: skip

IN_ONE_TRANSACTION = 200
"""Imported conversations: others may write in between."""


class Conversations:
    """The conversations of one home. May be used from any thread.

    Every call raises `DatabaseUnavailable` or `NoSpace` if the database does not take it.
    """

    def __init__(self, home: Path, url: str = "", *, wait_s: float = WAIT_S) -> None:
        self._database = Database(home, url, wait_s=wait_s)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(self, new: NewConversation) -> Conversation:
        """Keep a new conversation. Raises `Conflict` if there is one of its id."""
        with self._database.writing() as session:
            if new.id and _is_known(session, new.id):
                raise Conflict(f"there is a conversation {new.id!r} already")
            row = add_row(session, new)
            return conversation_of(session, row)

    def add_all(self, conversations: Sequence[NewConversation]) -> int:
        """Keep those that are not there yet, by their ids; returns how many were new."""
        added = 0
        for start in range(0, len(conversations), IN_ONE_TRANSACTION):
            with self._database.writing() as session:
                for new in conversations[start : start + IN_ONE_TRANSACTION]:
                    if not (new.id and _is_known(session, new.id)):
                        add_row(session, new)
                        session.flush()
                        session.expunge_all()
                        added += 1
        return added

    def find(self, conversation_id: str) -> Conversation:
        """Return a conversation. Raises `UnknownConversation`."""
        with self._database.reading() as session:
            return conversation_of(session, row_of(session, conversation_id))

    def list(self, wanted: Wanted | None = None) -> Page:
        """Return conversations, the latest changed first; with ``query`` those that have all its
        words. Raises `UnknownConversation` if ``after`` names none."""
        wanted = wanted or Wanted()
        query, dialect = wanted.query.strip(), self._database.dialect
        if query and not words_of(query):
            return Page(())
        with self._database.reading() as session:
            rows = session.execute(_selection(session, wanted, dialect)).all()
            shown, has_more = rows[: wanted.limit], len(rows) > wanted.limit
            if not shown:
                return Page(())
            numbers = [row.number for row in shown]
            lines = snippets(query, (row.text for row in shown)) if query else [""] * len(shown)
            tags = tags_of(session, numbers)
            return Page(
                tuple(
                    summary_of(cast("ConversationRow", row), tags.get(row.number, ()), line)
                    for row, line in zip(shown, lines, strict=True)
                ),
                has_more,
            )

    def record(self, conversation_id: str, path: Sequence[NewItem], facts: NewConversation) -> str:
        """Keep what a conversation says now, from its first item to its last; returns its id.

        What is there already stays as it is, what is new becomes a branch where it differs, and
        the end of the path is the head. Without an id, or if it was deleted meanwhile, it is a new
        conversation. ``facts`` says kind, model, system prompt and tools; its items do not count.
        """
        with self._database.writing() as session:
            if not (conversation_id and _is_known(session, conversation_id)):
                new = NewConversation(
                    path, kind=facts.kind, model=facts.model, system=facts.system,
                    tools=facts.tools, folder=facts.folder,
                )  # fmt: skip
                return add_row(session, new).id
            row = row_of(session, conversation_id, lock=True)
            kept = list(
                session.scalars(
                    select(ConversationItemRow)
                    .where(ConversationItemRow.conversation == row.number)
                    .order_by(ConversationItemRow.number)
                )
            )
            known = _follow(path, kept)
            added = path[len(known) :]
            end = known[-1].id if known else None
            ids = add_items(session, row, added, end, {item.id for item in kept})
            if path:
                row.head_id = ids[-1] if ids else end
            if added:
                row.updated = time.time()
                add_text(session, row, added)
            row.model, row.system = cleaned(facts.model)[:256] or row.model, cleaned(facts.system)
            row.tools = [cleaned_item(tool) for tool in facts.tools]
            return row.id

    def append(self, conversation_id: str, items: Sequence[NewItem]) -> tuple[KeptItem, ...]:
        """Add items behind the head. Raises `UnknownConversation`."""
        with self._database.writing() as session:
            row = row_of(session, conversation_id, lock=True)
            of_it = ConversationItemRow.conversation == row.number
            named_ids = [new.id for new in items if new.id]
            known = select(ConversationItemRow.id).where(
                of_it, ConversationItemRow.id.in_(named_ids)
            )
            ids = add_items(session, row, items, row.head_id, set(session.scalars(known)))
            if ids:
                row.head_id, row.updated = ids[-1], time.time()
                add_text(session, row, items)
                if not row.title:
                    row.title = titled(title_of(items))
                    write_text(session, row)
            added = session.scalars(
                select(ConversationItemRow).where(of_it, ConversationItemRow.id.in_(ids))
            )
            by_id = {item.id: kept_item(item) for item in added}
            return tuple(by_id[item_id] for item_id in ids)

    def change(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        folder: str | None = None,
        tags: Sequence[str] | None = None,
        archived: bool | None = None,
        metadata: Mapping[str, str] | None = None,
        head_id: str | None = None,
    ) -> Summary:
        """Change what is given. ``head_id`` shows the branch of that item, to its latest end.

        Raises `UnknownConversation`, also for an item that it does not have, and `InvalidRequest`
        for a name that is too long.
        """
        with self._database.writing() as session:
            row = row_of(session, conversation_id, lock=True)
            if title is not None:
                row.title = titled(title)
                write_text(session, row)
            if folder is not None:
                row.folder = named("folder", folder, MAX_FOLDER)
            if tags is not None:
                set_tags(session, row, tags)
            if archived is not None:
                row.archived = archived
            if metadata is not None:
                row.facts = {cleaned(key): cleaned(value) for key, value in metadata.items()}
            if head_id is not None:
                row.head_id = _latest_end(conversation_of(session, row), head_id)
            session.flush()
            return summary_of(row, tags_of(session, [row.number]).get(row.number, ()))

    def remove_item(self, conversation_id: str, item_id: str) -> Summary:
        """Remove an item; what follows it follows the one before. Raises `UnknownConversation`."""
        with self._database.writing() as session:
            row = row_of(session, conversation_id, lock=True)
            conversation_of(session, row).item(item_id)
            items = session.scalars(
                select(ConversationItemRow).where(ConversationItemRow.conversation == row.number)
            ).all()
            removed = next(item for item in items if item.id == item_id)
            for item in items:
                if item.parent_id == item_id:
                    item.parent_id = removed.parent_id
            if row.head_id == item_id:
                row.head_id = removed.parent_id
            session.delete(removed)
            session.flush()
            write_text(session, row)
            return summary_of(row, tags_of(session, [row.number]).get(row.number, ()))

    def delete(self, conversation_id: str) -> None:
        """Remove a conversation with all its branches. Raises `UnknownConversation`."""
        with self._database.writing() as session:
            row = row_of(session, conversation_id, lock=True)
            for table in (ConversationItemRow, ConversationTagRow, ConversationTextRow):
                session.execute(delete(table).where(table.conversation == row.number))
            session.delete(row)

    def fork(self, conversation_id: str, item_id: str | None = None) -> Conversation:
        """Make a new conversation of one up to an item, or up to its head.

        Raises `UnknownConversation`, also for an item that it does not have.
        """
        origin = self.find(conversation_id)
        if item_id:
            origin.item(item_id)
        summary = origin.summary
        path = origin.path(item_id)
        forked = NewConversation(
            [NewItem(each.item, each.about, created=each.created) for each in path],
            title=f"{summary.title} (fork)",
            kind=summary.kind,
            folder=summary.folder,
            tags=summary.tags,
            model=summary.model,
            system=origin.system,
            tools=origin.tools,
        )
        return self.add(forked)

    def titles(self, ids: Iterable[str]) -> dict[str, str]:
        """Return titles by id, of those conversations that are there."""
        row = ConversationRow
        wanted = select(row.id, row.title).where(row.id.in_(list(ids)))
        with self._database.reading() as session:
            return {found: title or "Untitled" for found, title in session.execute(wanted)}

    def folders(self) -> dict[str, int]:
        """Return the folders with their numbers of conversations."""
        column = ConversationRow.folder
        return self._counts(
            select(column, func.count()).where(column != "").group_by(column).order_by(column)
        )

    def tags(self) -> dict[str, int]:
        """Return the tags with their numbers of conversations."""
        column = ConversationTagRow.tag
        counted = select(column, func.count()).join(
            ConversationRow, ConversationRow.number == ConversationTagRow.conversation
        )
        return self._counts(counted.group_by(column).order_by(column))

    def _counts(self, counts: Select[str, int]) -> dict[str, int]:
        with self._database.reading() as session:
            return {str(name): int(count) for name, count in session.execute(counts)}


def _is_known(session: Session, conversation_id: str) -> bool:
    wanted = select(ConversationRow.number).where(ConversationRow.id == conversation_id)
    return session.scalar(wanted, execution_options={EVERYBODYS: True}) is not None


def _selection(session: Session, wanted: Wanted, dialect: str) -> Select[*tuple[Any, ...]]:
    row = ConversationRow
    chosen: Select[*tuple[Any, ...]] = select(*OF_A_SUMMARY)
    if wanted.archived is not None:
        chosen = chosen.where(row.archived == wanted.archived)
    if wanted.folder is not None:
        chosen = chosen.where(row.folder == wanted.folder)
    if wanted.kind is not None:
        chosen = chosen.where(row.kind == wanted.kind)
    if wanted.tag is not None:
        tagged = select(ConversationTagRow.conversation).where(ConversationTagRow.tag == wanted.tag)
        chosen = chosen.where(row.number.in_(tagged))
    if wanted.query.strip():
        chosen = chosen.where(row.number.in_(found_in(dialect, wanted.query)))
        texts = ConversationTextRow
        chosen = chosen.join(texts, texts.conversation == row.number).add_columns(texts.text)
    order = tuple_(row.updated, row.number)
    if wanted.after is not None:
        last = row_of(session, wanted.after)
        place = tuple_(last.updated, last.number)
        chosen = chosen.where(order > place if wanted.oldest_first else order < place)
    columns = (row.updated, row.number)
    ordered = columns if wanted.oldest_first else tuple(each.desc() for each in columns)
    return chosen.order_by(*ordered).limit(wanted.limit + 1)


def _follow(
    path: Sequence[NewItem], kept: Sequence[ConversationItemRow]
) -> list[ConversationItemRow]:
    """Return the kept items that a path begins with; what is known of them may be newer."""
    places = {(item.parent_id, item.key): item for item in kept}
    known: list[ConversationItemRow] = []
    for new in path:
        found = places.get((known[-1].id if known else None, new.key))
        if found is None:
            break
        about = cleaned_item(new.about)
        if about and about != found.about:
            found.about = {**found.about, **about}
        known.append(found)
    return known


def _latest_end(conversation: Conversation, item_id: str) -> str:
    """Return the end of the latest branch through an item."""
    end = conversation.item(item_id).id
    while later := conversation.children(end):
        end = later[-1].id
    return end
