"""Recognises a record's format and turns it into a `TrainingRow`.

Conversations: ``messages`` (OpenAI's, Together's), ``conversations`` (ShareGPT's, with tools),
prompt and completion (TRL's, OpenAI's, Together's instruction format), Alpaca's. Plain text:
``text``. A conversation with a ``label`` (TRL's, ms-swift's) or a ``kto_tag`` (LLaMA-Factory's) is
an unpaired preference. Preferences are `finetune.data.preferences`. A field that is neither
understood nor a fault is noted. Sources: https://docs.together.ai/docs/fine-tuning-data-preparation,
https://huggingface.co/docs/trl/dataset_formats, LLaMA-Factory's data/README.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
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
    with_contents,
    with_system,
)
from finetune.data.messages import build, check_order
from finetune.data.tools import build_tools
from finetune.data.training_row import Conversation, PlainText, TrainingRow, UnpairedPreference
from playground.errors import InvalidSettings

__all__ = ["FormatError", "RecognisedRow", "read_columns", "to_row"]

NO_COLUMNS: Mapping[str, str] = MappingProxyType({})
LABELS = ("kto_tag", "label")
LABEL_WORDS: Mapping[str, bool] = MappingProxyType(
    {
        **dict.fromkeys(("true", "good", "desirable", "1"), True),
        **dict.fromkeys(("false", "bad", "undesirable", "0"), False),
    }
)


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
    body = with_contents(parsed(renamed(record, columns, KNOWN_FIELDS, notes)))
    given = {name for name, value in body.items() if value is not None}
    for form in _FORMATS:
        if given.issuperset(form.fields):
            _refuse_media(body)
            row, name, known = form.read(body, line, notes), form.name, _KNOWN[form.name]
            label = _label(body)
            if label and isinstance(row, Conversation | PlainText):
                row, name, known = _unpaired(row, *label), f"{name}, {label[0]}", known | {label[0]}
            notes.unused(body, known)
            return RecognisedRow(name, row, tuple(dict.fromkeys(notes.notes)))
    raise FormatError("line", advice(record, given, map(attrgetter("fields"), _FORMATS), columns))


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


def _label(body: Body) -> tuple[str, bool] | None:
    """Return the field that says whether the answer is a good one, and what it says.

    A ``label`` of other values is one of a classification, and is not used; so is a number beside
    plain text.
    """
    for name in LABELS:
        if name not in body:
            continue
        said = str(body.get(name)).strip().lower()
        if said in LABEL_WORDS and not (said.isdigit() and "text" in body):
            return name, LABEL_WORDS[said]
        if name == "kto_tag" and body.get(name) is not None:
            raise FormatError(name, "must be true for a good answer, or false for a bad one")
    return None


def _unpaired(row: Conversation | PlainText, name: str, label: bool) -> UnpairedPreference:
    if isinstance(row, PlainText):
        problem = "says whether an answer is good, but there is only text; use prompt, completion"
        raise FormatError(name, problem)
    last = len(row.messages) - 1
    if row.messages[last].role != "assistant":
        raise FormatError(name, "is of the last message, which must be an answer")
    if last in row.masked:
        raise FormatError(name, "is of the last answer, whose weight is 0")
    return UnpairedPreference(row.messages[:last], row.messages[last], label, row.tools, row.line)


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
KNOWN_FIELDS = frozenset().union(*_KNOWN.values(), LABELS)
"""Fields that some format understands; others may be mapped to them."""
