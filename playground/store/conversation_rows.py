"""Between rows of the database and conversations: what both reading and writing share."""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from playground.errors import InvalidRequest, UnknownConversation
from playground.store.conversation_tables import (
    ConversationItemRow,
    ConversationRow,
    ConversationTagRow,
    ConversationTextRow,
)
from playground.store.conversation_types import (
    Conversation,
    Item,
    KeptItem,
    Kind,
    NewConversation,
    NewItem,
    Summary,
    text_of,
)

LONGEST_TITLE = 80
MAX_TITLE, MAX_FOLDER, MAX_TAG = 500, 128, 64
PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
}


def new_id() -> str:
    """Return an id for a new conversation."""
    return f"conv_{uuid.uuid4().hex}"


def row_of(session: Session, conversation_id: str, *, lock: bool = False) -> ConversationRow:
    """Return a conversation's row, for this transaction alone with ``lock``.

    Raises `UnknownConversation`.
    """
    wanted = select(ConversationRow).where(ConversationRow.id == conversation_id)
    row = session.scalar(wanted.with_for_update() if lock else wanted)
    if row is None:
        raise UnknownConversation(conversation_id)
    return row


def conversation_of(session: Session, row: ConversationRow) -> Conversation:
    """Read a whole conversation."""
    items = session.scalars(
        select(ConversationItemRow)
        .where(ConversationItemRow.conversation == row.number)
        .order_by(ConversationItemRow.number)
    )
    tags = tags_of(session, [row.number])
    return Conversation(
        summary_of(row, tags.get(row.number, ())),
        tuple(map(kept_item, items)),
        row.head_id,
        row.system,
        tuple(row.tools),
    )


def kept_item(row: ConversationItemRow) -> KeptItem:
    """Return a row as an item."""
    return KeptItem(row.id, row.parent_id, row.item, row.about, row.created)


def summary_of(row: ConversationRow, tags: Sequence[str] = (), snippet: str = "") -> Summary:
    """Return a row without what only a whole conversation has."""
    return Summary(
        row.id, row.title, cast("Kind", row.kind), row.folder, tuple(tags), row.archived,
        row.model, row.created, row.updated, row.facts, snippet,
    )  # fmt: skip


def tags_of(session: Session, numbers: Sequence[int]) -> dict[int, list[str]]:
    """Return the tags of conversations, by their numbers."""
    found: dict[int, list[str]] = {}
    rows = session.execute(
        select(ConversationTagRow.conversation, ConversationTagRow.tag)
        .where(ConversationTagRow.conversation.in_(numbers))
        .order_by(ConversationTagRow.tag)
    )
    for number, tag in rows:
        found.setdefault(number, []).append(tag)
    return found


def add_row(session: Session, new: NewConversation) -> ConversationRow:
    """Insert a conversation with its items."""
    now = time.time()
    created = new.created if new.created is not None else now
    row = ConversationRow(
        id=new.id or new_id(),
        title=titled(new.title) or title_of(new.items),
        kind=new.kind,
        folder=named("folder", new.folder, MAX_FOLDER),
        archived=new.archived,
        model=cleaned(new.model)[:256],
        system=cleaned(new.system),
        tools=[cleaned_item(tool) for tool in new.tools],
        facts=dict(new.metadata),
        head_id=None,
        created=created,
        updated=new.updated if new.updated is not None else created,
    )
    session.add(row)
    session.flush()
    ids = add_items(session, row, new.items, None, set())
    if ids:
        row.head_id = ids[-1 if new.head is None else new.head]
    text = "\n".join([row.title, *(text_of(each.item) for each in new.items)])
    session.add(ConversationTextRow(conversation=row.number, text=cleaned(text)))
    set_tags(session, row, new.tags)
    return row


def add_items(
    session: Session,
    row: ConversationRow,
    items: Sequence[NewItem],
    after: str | None,
    known: set[str],
) -> list[str]:
    """Insert items behind the one with the id ``after``; returns their ids. ``known`` are those
    that the conversation has."""
    now, ids = time.time(), list[str]()
    rows: list[dict[str, object]] = []
    for place, new in enumerate(items):
        item_id = new.id if new.id and new.id not in known else _item_id(new.item)
        known.add(item_id)
        before = ids[-1] if ids else after
        if new.parent is not None:
            before = ids[new.parent] if 0 <= new.parent < place else after
        ids.append(item_id)
        item = cleaned_item({key: value for key, value in new.item.items() if key != "id"})
        rows.append(
            {
                "conversation": row.number,
                "id": item_id,
                "parent_id": before,
                "key": new.key,
                "created": now if new.created is None else new.created,
                "item": item,
                "about": cleaned_item(new.about),
            }
        )
    if rows:
        session.execute(insert(ConversationItemRow), rows)
    return ids


def add_text(session: Session, row: ConversationRow, items: Iterable[NewItem]) -> None:
    """Let a search find these items, too."""
    kept = session.get(ConversationTextRow, row.number)
    added = "\n".join(filter(None, (cleaned(text_of(each.item)) for each in items)))
    if kept is not None and added:
        kept.text = f"{kept.text}\n{added}"


def write_text(session: Session, row: ConversationRow) -> None:
    """Make the text that is searched anew, from title and items."""
    items = session.scalars(
        select(ConversationItemRow.item)
        .where(ConversationItemRow.conversation == row.number)
        .order_by(ConversationItemRow.number)
    )
    kept = session.get(ConversationTextRow, row.number)
    if kept is not None:
        kept.text = cleaned("\n".join([row.title, *map(text_of, items)]))


def set_tags(session: Session, row: ConversationRow, tags: Sequence[str]) -> None:
    """Give a conversation these tags, and no others. Raises `InvalidRequest`."""
    named_tags = {named("tags", tag, MAX_TAG) for tag in tags} - {""}
    number = row.number
    session.execute(delete(ConversationTagRow).where(ConversationTagRow.conversation == number))
    session.add_all(ConversationTagRow(conversation=number, tag=tag) for tag in sorted(named_tags))


def title_of(items: Iterable[NewItem]) -> str:
    """Return the beginning of the first message of a user, as a title."""
    for new in items:
        if new.item.get("role") == "user":
            line = " ".join(cleaned(text_of(new.item)).split())
            if line:
                return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"
    return ""


def titled(title: str) -> str:
    """Return a title in one line of at most `MAX_TITLE` characters."""
    return " ".join(cleaned(title).split())[:MAX_TITLE]


def named(field: str, name: str, most: int) -> str:
    """Return the name of a folder or a tag. Raises `InvalidRequest` if it is too long."""
    name = " ".join(cleaned(name).split())
    if len(name) > most:
        raise InvalidRequest(field, f"a name has at most {most} characters, not {len(name)}")
    return name


def cleaned(text: str) -> str:
    """Return text that every database takes: valid Unicode without NUL."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def cleaned_item(item: Mapping[str, object]) -> Item:
    """Return the same, of every text in an item."""
    return {key: _cleaned_value(value) for key, value in item.items()}


def _cleaned_value(value: object) -> object:
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, list | tuple):
        return [_cleaned_value(each) for each in value]
    if isinstance(value, dict):
        return {cleaned(str(key)): _cleaned_value(each) for key, each in value.items()}
    return value


def _item_id(item: Item) -> str:
    return f"{PREFIXES.get(str(item.get('type', 'message')), 'item')}_{uuid.uuid4().hex}"
