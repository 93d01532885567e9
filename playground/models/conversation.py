"""The nearest form of a conversation that a chat template can hold.

Clients send back what servers of this kind handed out, and libraries put messages in orders that
some templates refuse. Knows messages; knows no template and no tokenizer.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from playground.protocol import Message, ToolCall
from playground.protocol.json_types import parse_json

PARAGRAPH = "\n\n"
"""Between the texts of messages that become one, as mistral-common joins them."""


def renderable(messages: Sequence[Message], *, continue_final: bool) -> list[Message]:
    """Leave out answers without text, calls and reasoning, which no template can render: a server
    hands them out where a stop string or the end token came first. One that is to be continued
    stays. Where nothing is left, it is an empty user message.
    """
    kept = [
        message
        for message in messages[: -1 if continue_final else None]
        if message.role != "assistant" or message.content or message.tool_calls or message.reasoning
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
    yield _in_turn(calls_as_text(without_system))


def without_reasoning(messages: Sequence[Message]) -> list[Message]:
    """Leave out what answers began with, for a template that has no thinking blocks."""
    return [
        replace(message, reasoning="") if message.reasoning else message for message in messages
    ]


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


def calls_as_text(messages: Sequence[Message]) -> list[Message]:
    """Write calls and their results as text, in Hermes' form, for a template that knows neither."""
    turned = []
    for message in messages:
        if message.role == "tool":
            message = Message("user", f"<tool_response>\n{message.content}\n</tool_response>")
        elif message.tool_calls:
            texts = [message.content, *map(_call_text, message.tool_calls)]
            text = "\n".join(text for text in texts if text)
            message = replace(message, content=text, tool_calls=())
        turned.append(message)
    return turned


def _call_text(call: ToolCall) -> str:
    written = {"name": call.name, "arguments": parse_json(call.arguments)}
    return f"<tool_call>\n{json.dumps(written, ensure_ascii=False)}\n</tool_call>"


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
            thoughts = [text for text in (previous.reasoning, message.reasoning) if text]
            merged[-1] = replace(
                previous,
                content=PARAGRAPH.join(texts),
                tool_calls=calls,
                reasoning=PARAGRAPH.join(thoughts),
            )
        else:
            merged.append(message)
    return merged
