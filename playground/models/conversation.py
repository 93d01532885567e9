"""The nearest form of a conversation that a chat template can hold.

Clients send back what servers of this kind handed out, and libraries put messages in orders that
some templates refuse. Knows messages; knows no template and no tokenizer.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from playground.protocol import Message

PARAGRAPH = "\n\n"
"""Between the texts of messages that become one, as mistral-common joins them."""


def renderable(messages: Sequence[Message], *, continue_final: bool) -> list[Message]:
    """Leave out answers without text and calls, which no template can render: a server hands them
    out where a stop string or the end token came first. One that is to be continued stays. Where
    nothing is left, it is an empty user message.
    """
    kept = [
        message
        for message in messages[: -1 if continue_final else None]
        if message.role != "assistant" or message.content or message.tool_calls
    ]
    return [*kept, messages[-1]] if continue_final else kept or [Message("user", "")]


def nearest_forms(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield the conversation as it is, then ever plainer forms for a template that refuses what it
    was given: system messages only at the beginning; none at all; users and assistants in turn;
    and these with calls and results as text.

    A system message that cannot stay becomes the first paragraph of the next user message, so that
    it still comes where it was said.
    """
    yield list(messages)
    leading = next((n for n, each in enumerate(messages) if each.role != "system"), len(messages))
    first = _merged(messages[:leading])
    yield [*first, *_system_as_user(messages[leading:])]
    without_system = _system_as_user(messages)
    yield without_system
    yield _in_turn(without_system)
    yield _in_turn(_calls_as_text(without_system))


def _system_as_user(messages: Sequence[Message]) -> list[Message]:
    turned = []
    instructions: list[str] = []
    for message in messages:
        if message.role == "system":
            instructions.append(message.content)
        elif message.role == "user" and instructions:
            turned.append(
                replace(message, content=PARAGRAPH.join([*instructions, message.content]))
            )
            instructions = []
        else:
            turned.append(message)
    if instructions:
        turned.append(Message("user", PARAGRAPH.join(instructions)))
    return turned


def _calls_as_text(messages: Sequence[Message]) -> list[Message]:
    """Write an assistant's calls as JSON into its text, and results as what the user says."""
    turned = []
    for message in messages:
        if message.role == "tool":
            message = Message("user", message.content)
        elif message.tool_calls:
            calls = [call.to_openai()["function"] for call in message.tool_calls]
            texts = [message.content, *(json.dumps(call, ensure_ascii=False) for call in calls)]
            message = Message("assistant", "\n".join(text for text in texts if text))
        turned.append(message)
    return turned


def _in_turn(messages: Sequence[Message]) -> list[Message]:
    """Join neighbours of the same role, and begin with a user."""
    merged = _merged(messages)
    return merged if merged[0].role == "user" else [Message("user", ""), *merged]


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Join neighbours of the same role; results of calls stay as they are."""
    merged: list[Message] = []
    for message in messages:
        previous = merged[-1] if merged else None
        if previous and previous.role == message.role and message.role != "tool":
            texts = [text for text in (previous.content, message.content) if text]
            calls = (*previous.tool_calls, *message.tool_calls)
            merged[-1] = replace(previous, content=PARAGRAPH.join(texts), tool_calls=calls)
        else:
            merged.append(message)
    return merged
