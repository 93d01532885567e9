"""Conversations, converted between Gradio's Chatbot and the protocol's messages.

The Chatbot's value is the only copy of the conversation. A turn's text is a typed part, never a
bare string: Gradio strips and dedents bare strings.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, TypedDict

from playground.protocol import Message, Provenance


class Turn(TypedDict):
    """One message as the Chatbot holds it."""

    role: Literal["user", "assistant"]
    content: list[dict[str, str]]
    metadata: dict[str, object]


History = list[Turn]
REASONING = "Reasoning"
"""The title of a turn that holds what was written before the answer; the Chatbot folds it."""


def turn(
    role: Literal["user", "assistant"],
    text: str,
    note: str = "",
    provenance: Provenance | None = None,
) -> Turn:
    """Build a turn; ``note`` and ``provenance`` are kept with it and not shown."""
    metadata: dict[str, object] = {"log": note} if note else {}
    if provenance:
        metadata["id"] = json.dumps(asdict(provenance))
    return {"role": role, "content": [{"type": "text", "text": text}], "metadata": metadata}


def answer_turns(
    text: str,
    reasoning: str = "",
    note: str = "",
    provenance: Provenance | None = None,
    *,
    running: bool = False,
) -> History:
    """Build the turns of an answer: its reasoning, open while nothing but that is written, then its
    text. The last one keeps ``note`` and ``provenance``.
    """
    turns: History = []
    if reasoning:
        thought = turn("assistant", reasoning, "" if text else note)
        status = "pending" if running and not text else "done"
        thought["metadata"] |= {"title": REASONING, "status": status}
        turns.append(thought)
    if text:
        turns.append(turn("assistant", text, note, provenance))
    return turns


def is_thought(item: Turn) -> bool:
    """Say whether a turn is an answer's reasoning."""
    return (item.get("metadata") or {}).get("title") == REASONING


def text_of(content: object) -> str:
    """Return the text of a turn's content or of a Chatbot event: a string, a part or parts.

    Parts that are not text (files, components) are left out.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        text = content.get("text")
        return text if isinstance(text, str) else ""
    parts = content if isinstance(content, list | tuple) else ()
    return "\n\n".join(filter(None, map(text_of, parts)))


def note_of(history: Sequence[Turn]) -> str:
    """Return the note that was kept with the last turn, if that is an answer."""
    if not history or history[-1]["role"] != "assistant":
        return ""
    return str((history[-1].get("metadata") or {}).get("log") or "")


def provenance_of(item: Turn) -> Provenance:
    """Return what made this answer, if that was kept with it."""
    try:
        return Provenance.parse(json.loads(str((item.get("metadata") or {}).get("id") or "{}")))
    except ValueError:
        return Provenance()


def to_messages(history: Sequence[Turn], system_prompt: str = "") -> tuple[Message, ...]:
    """Return the conversation for a request, without a blank system prompt and empty answers."""
    messages = [Message("system", system_prompt)] if system_prompt.strip() else []
    thoughts = ""
    for item in history:
        text = text_of(item["content"])
        if is_thought(item):
            thoughts = text
            continue
        if thoughts and item["role"] == "user":  # an answer that was cut while it reasoned
            messages.append(Message("assistant", reasoning=thoughts))
            thoughts = ""
        if text or item["role"] == "user":
            messages.append(Message(item["role"], text, reasoning=thoughts))
            thoughts = ""
    if thoughts:
        messages.append(Message("assistant", reasoning=thoughts))
    return tuple(messages)


def last_user_index(history: Sequence[Turn]) -> int | None:
    """Return the index of the user's last message."""
    return next((i for i in reversed(range(len(history))) if history[i]["role"] == "user"), None)
