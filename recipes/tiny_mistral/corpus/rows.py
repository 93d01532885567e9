"""A corpus row: a conversation that ends with the assistant's answer, and its tools."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from playground.protocol.json_types import Json, JsonObject

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class CorpusCall:
    """A tool call. ``id`` is empty in a call that is trained on: the engine assigns it."""

    name: str
    arguments: Mapping[str, Json]
    id: str = ""

    def as_json(self) -> JsonObject:
        """Return the object that stands after ``[TOOL_CALLS]``, its keys in V7's order."""
        body: JsonObject = {"name": self.name, "arguments": dict(self.arguments)}
        return body | ({"id": self.id} if self.id else {})


@dataclass(frozen=True, slots=True)
class CorpusTurn:
    """One message. ``call_id`` is set on a tool's result only."""

    role: Role
    text: str = ""
    calls: tuple[CorpusCall, ...] = ()
    call_id: str = ""

    def as_openai(self) -> JsonObject:
        """Return the message in the format of OpenAI's API, which mistral-common reads too."""
        if self.calls:
            calls: list[Json] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.name,
                        "arguments": json.dumps(call.arguments, ensure_ascii=False),
                    },
                }
                for call in self.calls
            ]
            return {"role": self.role, "tool_calls": calls}
        message: JsonObject = {"role": self.role, "content": self.text}
        return message | ({"tool_call_id": self.call_id} if self.call_id else {})


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """A conversation of one task family; its last turn is the answer to train on."""

    family: str
    turns: tuple[CorpusTurn, ...]
    tools: tuple[JsonObject, ...] = ()

    @property
    def prompt(self) -> tuple[CorpusTurn, ...]:
        """Every turn but the answer."""
        return self.turns[:-1]

    @property
    def answer(self) -> CorpusTurn:
        """The assistant's last turn."""
        return self.turns[-1]


def dialogue(
    family: str,
    exchanges: Sequence[tuple[str, str]],
    system: str | None = None,
    tools: tuple[JsonObject, ...] = (),
) -> CorpusRow:
    """Return a row of question and answer pairs."""
    turns = [CorpusTurn("system", system)] if system else []
    for question, answer in exchanges:
        turns += [CorpusTurn("user", question), CorpusTurn("assistant", answer)]
    return CorpusRow(family, tuple(turns), tools)
