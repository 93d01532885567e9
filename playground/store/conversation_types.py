"""What `playground.store.conversations` takes and gives. Knows no database."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from playground.errors import UnknownConversation

Item = dict[str, object]
"""An item in the form of OpenAI's Responses API: a message, a call, its result, or reasoning."""
Kind = Literal["chat", "functions", "compare", "api", "import"]
"""Where a conversation comes from."""
KEPT_OUTSIDE = ("id", "status", "annotations", "logprobs")
"""Fields that do not make an item another one."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to keep. ``id`` is used if the conversation has none of that id yet; ``parent`` is
    the place in the list of the item before it, where that is not simply the one before.
    ``variant`` tells equal answers apart, as those of two lanes."""

    item: Item
    about: Mapping[str, object] = field(default_factory=dict)
    id: str = ""
    parent: int | None = None
    created: float | None = None
    variant: str = ""

    @property
    def key(self) -> str:
        """The hash of what it says."""
        return _key(self.item, self.variant)


@dataclass(frozen=True, slots=True)
class KeptItem:
    """An item of a conversation; ``created`` is in seconds since the epoch."""

    id: str
    parent_id: str | None
    item: Item
    about: Mapping[str, object]
    created: float

    def to_openai(self) -> Item:
        """The item as the Responses API has it."""
        return {"status": "completed", **self.item, "id": self.id}


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation without its items. Times are in seconds since the epoch; ``snippet`` is where
    a search found it, with the found words in « »."""

    id: str
    title: str
    kind: Kind
    folder: str = ""
    tags: tuple[str, ...] = ()
    archived: bool = False
    model: str = ""
    created: float = 0.0
    updated: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole conversation: a tree of items, shown up to ``head_id``."""

    summary: Summary
    items: tuple[KeptItem, ...]
    head_id: str | None = None
    system: str = ""
    tools: tuple[Item, ...] = ()

    @property
    def id(self) -> str:
        """Its id."""
        return self.summary.id

    def item(self, item_id: str) -> KeptItem:
        """Return an item. Raises `UnknownConversation`."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise UnknownConversation(self.id, item_id)

    def path(self, item_id: str | None = None) -> list[KeptItem]:
        """Return the items up to this one, or up to the head, from the first on."""
        by_id = {item.id: item for item in self.items}
        wanted = item_id or self.head_id
        found: list[KeptItem] = []
        while wanted is not None and wanted in by_id:
            found.append(by_id.pop(wanted))
            wanted = found[-1].parent_id
        return found[::-1]

    def children(self, item_id: str | None) -> list[KeptItem]:
        """Return what was said after an item, each a branch; the earliest first."""
        return [item for item in self.items if item.parent_id == item_id]

    def leaves(self) -> list[KeptItem]:
        """Return the last item of each branch, the earliest first."""
        parents = {item.parent_id for item in self.items}
        return [item for item in self.items if item.id not in parents]


@dataclass(frozen=True, slots=True)
class NewConversation:
    """A conversation to keep, as an import or the API gives it. ``head`` is a place in ``items``;
    the last one if None."""

    items: Sequence[NewItem] = ()
    title: str = ""
    kind: Kind = "chat"
    folder: str = ""
    tags: Sequence[str] = ()
    archived: bool = False
    model: str = ""
    system: str = ""
    tools: Sequence[Item] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    head: int | None = None
    created: float | None = None
    updated: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the conversations that were asked for, and whether there are more."""

    conversations: tuple[Summary, ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversations: None for all, of ``archived`` too."""

    query: str = ""
    folder: str | None = None
    tag: str | None = None
    kind: Kind | None = None
    archived: bool | None = False
    limit: int = 50
    after: str | None = None
    oldest_first: bool = False


def text_of(item: Item) -> str:
    """Return the text of an item: of a message, a call's arguments, a result, reasoning."""
    if item.get("type") == "function_call":
        return f"{item.get('name')}({item.get('arguments', '')})"
    return "\n".join(filter(None, map(_part_text, _parts(item))))


def linear(items: Sequence[NewItem]) -> list[NewItem]:
    """Return items each of which follows the one before."""
    return [replace(item, parent=None) for item in items]


def _parts(item: Item) -> Sequence[object]:
    for name in ("content", "output", "summary"):
        value = item.get(name)
        if isinstance(value, str) and value:
            return [value]
        if isinstance(value, list) and value:
            return value
    return ()


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        return str(part.get("text") or part.get("refusal") or "")
    return ""


def _key(item: Item, variant: str) -> str:
    said: object = [
        item.get("type", "message"),
        item.get("role"),
        item.get("call_id") if item.get("type") == "function_call_output" else None,
        text_of(item),
        variant,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
