"""What a training row is: a conversation that ends with the assistant's answer, and its tools."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from recipes.tiny_mistral.corpus.draw import key_of

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. ``id`` is empty in a call to be learned: the engine assigns it."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""

    def as_json(self) -> dict[str, Any]:
        """The object inside ``[TOOL_CALLS]``, in V7's order."""
        body: dict[str, Any] = {"name": self.name, "arguments": dict(self.arguments)}
        return body | ({"id": self.id} if self.id else {})


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. ``call_id`` is set on a tool's result only."""

    role: Role
    text: str = ""
    calls: tuple[Call, ...] = ()
    call_id: str = ""

    def as_openai(self) -> dict[str, Any]:
        """The message as OpenAI's API and mistral-common take it."""
        if self.calls:
            calls = [
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
        message = {"role": self.role, "content": self.text}
        return message | ({"tool_call_id": self.call_id} if self.call_id else {})


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation of one task family; the last turn is the answer to learn."""

    family: str
    turns: tuple[Turn, ...]
    tools: tuple[Mapping[str, Any], ...] = ()

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """Every turn but the answer."""
        return self.turns[:-1]

    @property
    def answer(self) -> Turn:
        """The assistant's last turn."""
        return self.turns[-1]

    @property
    def prompt_key(self) -> str:
        """What the model is asked, without case and punctuation: equal keys are the same task."""
        spoken = "|".join(key_of(turn.text) for turn in self.prompt if turn.role != "assistant")
        listed = json.dumps(self.tools, ensure_ascii=False)
        return f"{spoken}|{key_of(listed)}"


def dialogue(
    family: str,
    exchanges: Sequence[tuple[str, str]],
    system: str | None = None,
    tools: tuple[Mapping[str, Any], ...] = (),
) -> Row:
    """A row of plain question and answer pairs."""
    turns = [Turn("system", system)] if system else []
    for question, answer in exchanges:
        turns += [Turn("user", question), Turn("assistant", answer)]
    return Row(family, tuple(turns), tools)
