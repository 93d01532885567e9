"""Tool calls read back from what the model writes, character by character.

`CallSplitter` splits text from calls where a marker starts them, `CallReader` turns the calls' JSON
into pieces of calls, and `new_call_id` names them. Knows no tokens, no engine and no HTTP.
"""

import hashlib
import json
import re
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from playground.models.call_formats import CallFormat
from playground.protocol import CallDelta, Request, ToolCall

ID_CHARACTERS = string.ascii_letters + string.digits
ID_LENGTH = 9
"""V7's call ids (mistral_common/protocol/instruct/validator.py)."""
CALL_OPENING = re.compile(
    r'\{"name": (?P<quoted>"(?:[^"\\]|\\.)*"), "(?:arguments|parameters)": $'
    r"|<TOOL_CALLS>\s?(?P<bare>[A-Za-z0-9_-]+)(?:<CALL_ID>(?P<id>[A-Za-z0-9]{9}))?<ARGS>$"
)
"""A call up to its arguments: as JSON, or with control tokens between its parts, by their names."""


def new_call_id(seed: str = "") -> str:
    """An id in Mistral's form; the same one for the same ``seed``, random without."""
    if not seed:
        return "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    digits = (number // len(ID_CHARACTERS) ** place for place in range(ID_LENGTH))
    return "".join(ID_CHARACTERS[digit % len(ID_CHARACTERS)] for digit in digits)


def call_id_seed(request: Request) -> str:
    """Seed of a request's call ids where its answer is reproducible; empty for free sampling.

    Ids stand in the next prompt, and another id there may bring another answer.
    """
    if request.sampling.temperature > 0 and request.sampling.seed is None:
        return ""
    messages = [message.to_openai() for message in request.messages]
    return json.dumps([messages, request.prompt, request.sampling.seed], ensure_ascii=False)


@dataclass(slots=True)
class CallSplitter:
    """Splits text from tool calls in a stream, where a marker and no control token starts them.

    Text that may be the beginning of the marker is held back.
    """

    call_format: CallFormat
    _held: str = ""
    _seen: Literal["nothing", "text", "calls"] = "nothing"

    def push(self, text: str) -> tuple[str, str]:
        """The text for people, and the text that belongs to calls."""
        if self._seen == "calls":
            return "", text
        mixed = self.call_format.text_before_calls
        if self._seen == "text" and not mixed:
            return text, ""
        self._held += text
        place = self._held.find(self.call_format.marker)
        if place >= 0 and (mixed or place == 0):
            self._seen = "calls"
            shown, calls = self._held[:place].removesuffix("\n"), self._held[place:]
            self._held = ""
            return shown, calls
        self._seen = "text" if self._held else "nothing"
        kept = self._possible_marker() if mixed else 0
        shown, self._held = self._held[: len(self._held) - kept], self._held[-kept:] * bool(kept)
        return shown, ""

    def flush(self) -> str:
        """Held-back text, which is text after all."""
        held, self._held = self._held, ""
        return held

    def _possible_marker(self) -> int:
        """Characters at the end that may begin the marker, or the line break before it."""
        marker = self.call_format.marker
        awaited = "\n" + marker
        lengths = range(min(len(awaited), len(self._held)), 0, -1)
        matching = (n for n in lengths if self._held[-n:] in (awaited[:n], marker[:n]))
        return next(matching, 0)


@dataclass(slots=True)
class CallReader:
    """Reads calls as they are written.

    The grammar fixes their form, so that a call's name is known before its arguments begin, and the
    arguments can be passed on as they come. ``id_seed`` makes the calls' ids reproducible.
    """

    id_seed: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    _text: str = ""
    _arguments: str | None = None
    _id: str = ""
    _name: str = ""
    _depth: int = 0
    _quoted: bool = False
    _escaped: bool = False

    def push(self, text: str) -> tuple[CallDelta, ...]:
        """The pieces of calls in the next piece of text."""
        return tuple(_joined(self._deltas(text)))

    def _deltas(self, text: str) -> Iterator[CallDelta]:
        for character in text:
            if self._arguments is None:
                self._text += character
                opening = CALL_OPENING.search(self._text)
                if opening:
                    self._id = self._new_id(opening["id"])
                    self._name = opening["bare"] or json.loads(opening["quoted"])
                    self._arguments, self._depth, self._text = "", 0, ""
                    yield CallDelta(len(self.calls), self._id, self._name)
                continue
            self._arguments += character
            yield CallDelta(len(self.calls), arguments=character)
            self._track_nesting(character)
            if self._depth == 0 and not self._quoted:
                self.calls.append(ToolCall(self._id, self._name, self._arguments))
                self._arguments = None

    def _new_id(self, written: str | None) -> str:
        """The id that the model wrote, unless another call has it; otherwise a new one."""
        if written and written not in (call.id for call in self.calls):
            return written
        return new_call_id(self.id_seed and f"{self.id_seed}\n{len(self.calls)}")

    def _track_nesting(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._quoted:
            self._escaped = character == "\\"
            self._quoted = character != '"'
        elif character == '"':
            self._quoted = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1


def _joined(deltas: Iterator[CallDelta]) -> Iterator[CallDelta]:
    """Join neighbouring pieces of the same arguments."""
    held: CallDelta | None = None
    for delta in deltas:
        if held and not delta.name and delta.index == held.index:
            held = CallDelta(held.index, held.id, held.name, held.arguments + delta.arguments)
        else:
            if held:
                yield held
            held = delta
    if held:
        yield held
