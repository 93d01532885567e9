"""The four kinds of training rows: conversations, preferences, unpaired preferences, plain text.

Knows messages and tools; knows no file and no tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from playground.protocol import Message, Tool

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages; the loss is over the assistant's, but for those whose place is in ``masked``.

    ``line`` counts from 1.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    line: int = 0
    masked: tuple[int, ...] = ()

    @property
    def answers(self) -> tuple[int, ...]:
        """Places of the assistant's messages that are trained."""
        return tuple(
            place
            for place, message in enumerate(self.messages)
            if message.role == "assistant" and place not in self.masked
        )

    def as_json(self) -> JsonObject:
        """The row in the messages format; a masked message has weight 0."""
        messages = [message.to_openai() for message in self.messages]
        for place in self.masked:
            messages[place]["weight"] = 0
        return _with_tools({"messages": messages}, self.tools)


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with the answer that is preferred and the one that is not."""

    messages: tuple[Message, ...]
    chosen: Message
    rejected: Message
    tools: tuple[Tool, ...] = ()
    line: int = 0

    def as_json(self) -> JsonObject:
        """The row as prompt, chosen and rejected messages."""
        body: JsonObject = {
            "prompt": [message.to_openai() for message in self.messages],
            "chosen": [self.chosen.to_openai()],
            "rejected": [self.rejected.to_openai()],
        }
        return _with_tools(body, self.tools)


@dataclass(frozen=True, slots=True)
class UnpairedPreference:
    """A prompt with one answer; ``label`` says whether it is a good one (TRL's words, for KTO)."""

    messages: tuple[Message, ...]
    completion: Message
    label: bool
    tools: tuple[Tool, ...] = ()
    line: int = 0

    def as_json(self) -> JsonObject:
        """The row as prompt and completion messages with their label."""
        body: JsonObject = {
            "prompt": [message.to_openai() for message in self.messages],
            "completion": [self.completion.to_openai()],
            "label": self.label,
        }
        return _with_tools(body, self.tools)


@dataclass(frozen=True, slots=True)
class PlainText:
    """Plain text; the loss is over every token."""

    text: str
    line: int = 0

    def as_json(self) -> JsonObject:
        """The row with its one field."""
        return {"text": self.text}


TrainingRow = Conversation | Preference | UnpairedPreference | PlainText


def _with_tools(body: JsonObject, tools: Sequence[Tool]) -> JsonObject:
    return body | ({"tools": [tool.to_openai() for tool in tools]} if tools else {})
