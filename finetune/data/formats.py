"""Recognises a record's format and turns it into a `TrainingRow`.

Conversations: ``messages`` (OpenAI's, Together's), ``conversations`` (ShareGPT's, with tools),
prompt and completion (TRL's, OpenAI's, Together's instruction format), Alpaca's. Plain text:
``text``. Preferences are `finetune.data.preferences`. A field that is neither understood nor a
fault is noted. Sources: https://docs.together.ai/docs/fine-tuning-data-preparation,
https://huggingface.co/docs/trl/dataset_formats, LLaMA-Factory's data/README.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from finetune.data import preferences
from finetune.data.columns import advice
from finetune.data.fields import (
    MEDIA,
    MEDIA_PROBLEM,
    Body,
    FormatError,
    Notes,
    Piece,
    check_unicode,
    messages_or_text,
    numbered,
    parsed,
    renamed,
    with_system,
)
from finetune.data.messages import build, check_order
from finetune.data.tools import build_tools
from finetune.data.training_row import Conversation, PlainText, Preference, TrainingRow
from playground.errors import InvalidSettings

__all__ = ["FormatError", "RecognisedRow", "read_columns", "to_row"]

NO_COLUMNS: Mapping[str, str] = MappingProxyType({})
UNPAIRED = ("kto_tag", "label")


@dataclass(frozen=True, slots=True)
class RecognisedRow:
    """A row, the name of its format, and remarks about its fields (pairs of field and remark)."""

    format: str
    row: TrainingRow
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Format:
    """``fields`` make a record one of this format; ``others`` are understood beside them."""

    fields: tuple[str, ...]
    name: str
    read: Callable[[Body, int, Notes], TrainingRow]
    others: tuple[str, ...] = ("system", "tools", "functions")

    @property
    def known(self) -> frozenset[str]:
        return frozenset({*self.fields, *self.others, *MEDIA})


def to_row(record: Body, line: int, columns: Mapping[str, str] = NO_COLUMNS) -> RecognisedRow:
    """Return the row of a record, whose columns may have other names. Raises `FormatError`."""
    notes = Notes()
    check_unicode(record)
    body = parsed(renamed(record, columns, KNOWN_FIELDS, notes))
    for form in _FORMATS:
        if all(body.get(field) is not None for field in form.fields):
            _refuse_media(body)
            row = form.read(body, line, notes)
            if not isinstance(row, Preference):
                _refuse_unpaired(body)
            notes.unused(body, _KNOWN[form.name])
            return RecognisedRow(form.name, row, tuple(dict.fromkeys(notes.notes)))
    raise FormatError("line", advice(record))


def read_columns(mapping: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return checked columns with their fields, from a mapping or from text as in
    ``question=prompt,answer=completion``. Raises `InvalidSettings`."""
    columns: dict[str, str] = {}
    for column, name in _pairs(mapping or ""):
        if name not in KNOWN_FIELDS:
            known = ", ".join(sorted(KNOWN_FIELDS))
            raise InvalidSettings(f"columns: {name} is no field of a row; known are {known}")
        if name in columns.values():
            raise InvalidSettings(f"columns: two columns are mapped to {name}")
        columns[column.lower()] = name
    return columns


def _pairs(mapping: str | Mapping[str, str]) -> list[tuple[str, str]]:
    if not isinstance(mapping, str):
        return [(column.strip(), name.strip()) for column, name in mapping.items()]
    pairs = []
    for pair in mapping.split(","):
        column, equals, name = (part.strip() for part in pair.rpartition("="))
        if equals and column:
            pairs.append((column, name))
        elif pair.strip():
            raise InvalidSettings(f"columns: {pair.strip()!r} is not COLUMN=FIELD")
    return pairs


def _refuse_media(body: Body) -> None:
    for name in MEDIA:
        if body.get(name):
            raise FormatError(name, MEDIA_PROBLEM)


def _refuse_unpaired(body: Body) -> None:
    for name in UNPAIRED:
        value = body.get(name)
        is_label = isinstance(value, bool) or str(value).lower() in ("true", "false")
        if value is not None and (is_label or name == "kto_tag"):
            raise FormatError(
                name,
                "unpaired preferences are not trained here; leave out the bad answers and this "
                "field, or pair the answers as chosen and rejected",
            )


def _conversation(
    record: Body, pieces: Sequence[Piece], line: int, place: str, notes: Notes
) -> Conversation:
    built = build(with_system(record, pieces), notes)
    answers = [at for at, message in enumerate(built.messages) if message.role == "assistant"]
    if not answers:
        raise FormatError(place, "has no assistant message, so nothing to learn")
    if set(answers) <= set(built.masked):
        raise FormatError(place, "every answer has weight 0, so there is nothing to learn")
    check_order(built)
    return Conversation(built.messages, build_tools(record, notes), line, built.masked)


def _openai(record: Body, line: int, notes: Notes) -> Conversation:
    return _conversation(record, numbered(record, "messages"), line, "messages", notes)


def _sharegpt(record: Body, line: int, notes: Notes) -> Conversation:
    return _conversation(record, numbered(record, "conversations"), line, "conversations", notes)


def _prompt_and_completion(record: Body, line: int, notes: Notes) -> Conversation:
    pieces = [
        *messages_or_text(record, "prompt", "user"),
        *messages_or_text(record, "completion", "assistant"),
    ]
    return _conversation(record, pieces, line, "completion", notes)


def _alpaca(record: Body, line: int, notes: Notes) -> Conversation:
    answer: Piece = ("output", {"role": "assistant", "content": record["output"]})
    pieces = [*preferences.alpaca_prompt(record), answer]
    return _conversation(record, pieces, line, "output", notes)


def _text(record: Body, line: int, notes: Notes) -> PlainText:
    text = record["text"]
    if not isinstance(text, str) or not text.strip():
        raise FormatError("text", "must be text that is not empty")
    notes.text("text", text)
    return PlainText(text, line)


_ALPACA = ("input", "history", "system", "tools", "functions")
_WHOLE = ("chosen", "rejected")
_FORMATS = (
    _Format(
        ("messages", "rejected_response"),
        "messages and rejected_response",
        preferences.swift_preference,
    ),
    _Format(
        ("messages", "rejected_messages"),
        "messages and rejected_messages",
        preferences.swift_preference,
    ),
    _Format(("prompt", *_WHOLE), "prompt, chosen, rejected", preferences.trl_preference),
    _Format(("messages", *_WHOLE), "messages, chosen, rejected", preferences.messages_preference),
    _Format(("messages",), "messages", _openai),
    _Format(("conversations", *_WHOLE), "sharegpt preference", preferences.sharegpt_preference),
    _Format(("conversations",), "sharegpt", _sharegpt),
    _Format(
        ("input", "preferred_output", "non_preferred_output"),
        "preference",
        preferences.together_preference,
    ),
    _Format(("instruction", *_WHOLE), "alpaca preference", preferences.alpaca_preference, _ALPACA),
    _Format(("question", *_WHOLE), "question, chosen, rejected", preferences.question_preference),
    _Format(_WHOLE, "chosen, rejected", preferences.implicit_preference),
    _Format(("prompt", "completion"), "prompt and completion", _prompt_and_completion),
    _Format(("instruction", "output"), "alpaca", _alpaca, _ALPACA),
    _Format(("text",), "plain text", _text, ()),
)
_KNOWN = {form.name: form.known for form in _FORMATS}
KNOWN_FIELDS = frozenset().union(*_KNOWN.values(), UNPAIRED)
"""Fields that some format understands; others may be mapped to them."""
