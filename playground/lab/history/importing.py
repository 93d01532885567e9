"""Files of conversations: ours, ShareGPT, chat messages, Open WebUI's export and ChatGPT's.

A conversation that cannot be read is reported by its number and field, and the others are read.
Other makers' conversations get an id made of theirs, so that importing a file again adds nothing.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from playground.errors import InvalidRequest
from playground.lab.history.exporting import FILE_KIND, FILE_VERSION
from playground.lab.history.fields import Fields, Unreadable
from playground.lab.history.flat_formats import from_messages, from_sharegpt
from playground.lab.history.tree_formats import from_chatgpt, from_open_webui
from playground.store.conversation_types import Item, Kind, NewConversation, NewItem

MAX_PROBLEMS = 50
MAX_UNPACKED_MIB = 1024
"""The most that a zip file may hold of conversations."""
MIN_UNPACKED_MIB, MAX_EXPANSION = 64, 100
"""What any may hold, and how many times its size a larger one: texts shrink to a tenth."""
UNREADABLE_ZIP = (zipfile.BadZipFile, UnicodeDecodeError, RuntimeError, EOFError, zlib.error)
"""What `zipfile` raises for a broken file, for one with a password and for unknown packing."""
KINDS = ("chat", "functions", "compare", "api", "import")


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file holds. ``problems`` name what could not be read, by number and field."""

    conversations: tuple[NewConversation, ...]
    source: str
    problems: tuple[str, ...] = ()


def read_conversations(data: bytes) -> Imported:
    """Read a file in whichever of the forms it is, also zipped as ChatGPT sends it.

    Raises `InvalidRequest` for a file that is none of them, or holds no conversation.
    """
    if data.startswith(b"PK\x03\x04"):
        entries: list[object] = []
        for text in _unzipped(data):
            entries += _entries(text)
    else:
        try:
            entries = _entries(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise InvalidRequest("file", f"is not UTF-8 at byte {error.start}") from None
    found: list[NewConversation] = []
    problems: list[str] = []
    source = ""
    for number, entry in enumerate(entries, 1):
        try:
            name, reader = _form_of(entry)
            conversation = reader(Fields(entry))
            if conversation.items:
                found.append(conversation)
                source = source or name
            else:
                problems.append(f"conversation {number}: has no messages")
        except Unreadable as error:
            problems.append(f"conversation {number}: {error}")
    if not found:
        first = problems[0] if problems else "is empty"
        raise InvalidRequest("file", f"no conversation can be read; {first}")
    if len(problems) > MAX_PROBLEMS:
        more = f"and {len(problems) - MAX_PROBLEMS:,} more that cannot be read"
        problems = [*problems[:MAX_PROBLEMS], more]
    return Imported(tuple(found), source, tuple(problems))


def _unzipped(data: bytes) -> Iterator[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [
                entry
                for entry in archive.infolist()
                if entry.filename.rpartition("/")[2].startswith("conversations")
                and entry.filename.endswith(".json")
            ]
            if not names:
                raise InvalidRequest("file", "the zip file has no conversations.json")
            unpacked = sum(entry.file_size for entry in names)
            if unpacked > MAX_UNPACKED_MIB * 2**20:
                raise InvalidRequest("file", f"unpacks to more than {MAX_UNPACKED_MIB} MiB")
            if unpacked > max(MIN_UNPACKED_MIB * 2**20, MAX_EXPANSION * len(data)):
                raise InvalidRequest("file", f"holds more than {MAX_EXPANSION} times its own size")
            for entry in names:
                yield archive.read(entry).decode("utf-8-sig")
    except UNREADABLE_ZIP as error:
        raise InvalidRequest("file", f"the zip file cannot be read: {error}") from error


def _entries(text: str) -> list[object]:
    """The conversations of a JSON file, or of JSON lines."""
    try:
        body = json.loads(text)
    except RecursionError:
        raise InvalidRequest("file", "is nested too deeply") from None
    except ValueError as error:
        return _lines(text, error)
    if isinstance(body, dict) and body.get("format") == FILE_KIND:
        if body.get("version") != FILE_VERSION:
            raise InvalidRequest("version", f"is {body.get('version')!r}; {FILE_VERSION} is read")
        body = body.get("conversations")
    return body if isinstance(body, list) else [body]


def _lines(text: str, whole: ValueError) -> list[object]:
    entries: list[object] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entries.append(json.loads(line))
        except ValueError as error:
            reason = error if entries else whole
            at = f"line {number}: " if entries else ""
            raise InvalidRequest("file", f"{at}is not JSON: {reason}") from None
    return entries


def _form_of(entry: object) -> tuple[str, Callable[[Fields], NewConversation]]:
    if not isinstance(entry, dict):
        raise Unreadable(f"is {type(entry).__name__}, not an object")
    if "mapping" in entry:
        return "ChatGPT", from_chatgpt
    if isinstance(entry.get("chat"), dict):
        return "Open WebUI", from_open_webui
    if "items" in entry:
        return "Mistral Playground", _ours
    if "conversations" in entry:
        return "ShareGPT", from_sharegpt
    if "messages" in entry:
        return "chat messages", from_messages
    raise Unreadable(
        "has none of the fields items (ours), mapping (ChatGPT), chat (Open WebUI), "
        "conversations (ShareGPT) and messages"
    )


def _ours(entry: Fields) -> NewConversation:
    places: dict[str, int] = {}
    items: list[NewItem] = []
    for place, fields in enumerate(entry.objects("items")):
        item = fields.mapping("item")
        if not item:
            raise Unreadable(f"items[{place}].item: is missing")
        parent = fields.text("parent_id")
        if parent and parent not in places:
            raise Unreadable(f"items[{place}].parent_id: there is no {parent!r} before it")
        item_id = fields.text("id")
        places[item_id] = place
        items.append(
            NewItem(
                cast("Item", dict(item)),
                fields.mapping("about"),
                item_id,
                places[parent] if parent else -1,
                fields.number("created"),
                variant=str(fields.mapping("about").get("lane", "")),
            )
        )
    kind = entry.text("kind")
    metadata = entry.mapping("metadata")
    return NewConversation(
        items,
        title=entry.text("title"),
        kind=cast("Kind", kind if kind in KINDS else "import"),
        folder=entry.text("folder"),
        tags=entry.texts("tags"),
        archived=entry.flag("archived"),
        model=entry.text("model"),
        system=entry.text("system"),
        tools=_tools(entry),
        metadata={str(key): str(value) for key, value in metadata.items()},
        id=entry.text("id"),
        head=places.get(entry.text("head_id")),
        created=entry.number("created"),
        updated=entry.number("updated"),
    )


def _tools(entry: Fields) -> Sequence[Item]:
    tools: Sequence[Mapping[str, object]] = [each.all for each in entry.objects("tools")]
    return [dict(tool) for tool in tools]
