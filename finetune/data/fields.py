"""The fields of a record before they are understood: names, JSON text, Unicode, what is unused.

Knows JSON values; what a field means is `finetune.data.formats`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from finetune.data.training_row import JsonObject

Body = Mapping[str, object]
Piece = tuple[str, object]
"""A message before it is built, and its place in the record, such as ``messages[2]``."""

JSON_FIELDS = frozenset(
    {"messages", "conversations", "rejected_messages", "tools", "functions", "history"}
)
"""Text in these is read as JSON."""
MESSAGE_FIELDS = frozenset(
    {
        *("prompt", "completion", "chosen", "rejected", "rejected_response"),
        *("input", "preferred_output", "non_preferred_output"),
    }
)
"""Text in these is read as JSON only if it holds messages."""
MEDIA = ("images", "image", "videos", "video", "audios", "audio")
MEDIA_PROBLEM = "images and sounds are not trained here; only text is"
TEMPLATE_TAGS = (
    *("[INST]", "<|im_start|>", "<|start_header_id|>", "<start_of_turn>"),
    "### Instruction:",
)
MEDIA_TAGS = ("<image>", "<video>", "<audio>")
UNUSED = "is not used"


class FormatError(Exception):
    """Raised for a record that cannot become a row: its field, and what to do about it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


@dataclass(slots=True)
class Notes:
    """What is said of a record that is a row all the same: pairs of field and remark."""

    notes: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, remark: str) -> None:
        """Add a remark about a field."""
        self.notes.append((name, remark))

    def unused(self, body: Body, known: Collection[str], prefix: str = "") -> None:
        """Add each field that has a value and is none of the known ones."""
        for name, value in body.items():
            if name not in known and value is not None:
                self.add(f"{prefix}{name}", UNUSED)

    def text(self, name: str, text: str) -> None:
        """Add what text holds that only a template or another kind of model would understand."""
        if "<" not in text and "[" not in text and "###" not in text:
            return
        if any(tag in text for tag in TEMPLATE_TAGS):
            self.add(name, "has tags of a chat template, which are learned as plain characters")
        if any(tag in text for tag in MEDIA_TAGS):
            self.add(name, "stands for an image or a sound, but is learned as plain characters")


def renamed(
    record: Body, columns: Mapping[str, str], known: Collection[str], notes: Notes
) -> JsonObject:
    """Return the record with the names that formats know: mapped, or in another case."""
    result: JsonObject = {}
    mapped = set(columns.values()) if columns else ()
    for name, value in record.items():
        plain = name.strip().lower()
        target = columns.get(plain) if columns else None
        if target is not None:
            result[target] = value
        elif name in known or plain not in known or plain in record:
            if name in mapped:
                notes.add(name, "is replaced by the column that is mapped to it")
            else:
                result.setdefault(name, value)
        elif plain not in mapped:
            result.setdefault(plain, value)
    return result


def parsed(record: JsonObject) -> JsonObject:
    """Read the fields whose value is JSON text. Raises `FormatError` where that is broken."""
    for name, value in record.items():
        if not isinstance(value, str):
            continue
        if name in JSON_FIELDS:
            record[name] = json_of(name, value)
        elif name in MESSAGE_FIELDS and value.lstrip()[:1] in ("[", "{"):
            try:
                found = json.loads(value)
            except (ValueError, RecursionError):
                continue
            if holds_messages(found):
                record[name] = found
    return record


def json_of(name: str, text: str) -> object:
    """Parse JSON text; empty text is no value. Raises `FormatError`."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FormatError(name, "is text that is not JSON") from None


def holds_messages(value: object) -> bool:
    """Whether it is a message, a list of them, or an object that has such a list."""
    if isinstance(value, list):
        return bool(value) and all(_is_message(each) for each in value)
    return _is_message(value) or (
        isinstance(value, dict) and isinstance(value.get("messages"), list)
    )


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and ("role" in value or "from" in value)


def check_unicode(value: object, place: str = "") -> None:
    """Raise `FormatError` naming the field that holds half a character (a lone surrogate)."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                problem = f"not valid Unicode at character {error.start}"
                raise FormatError(_printable(place) or "line", problem) from None
    elif isinstance(value, (dict, Mapping)):  # a Mapping is looked up slowly
        for name, inner in value.items():
            check_unicode(name, place)
            check_unicode(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            check_unicode(inner, f"{place}[{at}]")


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def without_nulls(value: object, kept: Collection[str] = ()) -> object:
    """Leave out the fields that are null, as Arrow fills in where rows have different fields."""
    if isinstance(value, Mapping):
        return {
            name: without_nulls(inner, kept)
            for name, inner in value.items()
            if inner is not None or name in kept
        }
    return [without_nulls(inner, kept) for inner in value] if isinstance(value, list) else value


def numbered(record: Body, name: str) -> list[Piece]:
    """Return the messages of a field with their places. Raises `FormatError`."""
    value = record[name]
    if not isinstance(value, list) or not value:
        raise FormatError(name, "must be a list that is not empty")
    return [(f"{name}[{at}]", body) for at, body in enumerate(value)]


def messages_or_text(record: Body, name: str, role: str) -> list[Piece]:
    """Return a field's messages; text is one message of ``role``."""
    value = record[name]
    if isinstance(value, str):
        return [(name, {"role": role, "content": value})]
    if isinstance(value, Mapping):
        return [(name, value)]
    return numbered(record, name)


def text_of(value: object) -> object:
    """Join a list of objects that have only text, as Bedrock and Vertex AI write it; return any
    other value as it is."""
    if isinstance(value, list) and value and all(_is_text(part) for part in value):
        return "".join(part["text"] for part in value)
    return value


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and set(part) == {"text"} and isinstance(part["text"], str)


def with_contents(record: JsonObject) -> JsonObject:
    """Write Vertex AI's ``contents`` and ``systemInstruction`` as messages.

    Raises `FormatError`.
    """
    if not isinstance(record.get("contents"), list) or "messages" in record:
        return record
    result = dict(record)
    turns, system = numbered(result, "contents"), result.pop("systemInstruction", None)
    del result["contents"]
    if isinstance(system, Mapping):
        result["system"] = text_of(system.get("parts"))
    messages = []
    for place, turn in turns:
        if not isinstance(turn, Mapping) or not isinstance(text_of(turn.get("parts")), str):
            raise FormatError(f"{place}.parts", "must be a list of objects with text")
        messages.append({"role": turn.get("role"), "content": text_of(turn["parts"])})
    return {**result, "messages": messages}


def with_system(record: Body, pieces: Sequence[Piece]) -> list[Piece]:
    """Put the record's ``system`` text before its messages. Raises `FormatError`."""
    system = text_of(record.get("system"))
    if system is None or system == "":
        return list(pieces)
    if not isinstance(system, str):
        raise FormatError("system", "must be text")
    first = pieces[0][1] if pieces else None
    if isinstance(first, Mapping) and "system" in (first.get("role"), first.get("from")):
        if system in (first.get("content"), first.get("value")):
            return list(pieces)
        raise FormatError("system", f"is not the system message of {pieces[0][0]}; keep one")
    return [("system", {"role": "system", "content": system}), *pieces]
