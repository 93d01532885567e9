"""Conversations, converted between Gradio's Chatbot and the protocol's messages.

The Chatbot's value is the only copy of the conversation. A turn's text is a typed part, never a
bare string: Gradio strips and dedents bare strings. It is held as it is drawn (`shown_text`):
what people wrote character by character, answers as Markdown.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, TypedDict

from playground.protocol import Message, Provenance
from playground.ui.components.shown_text import as_markdown, as_typed, spoken


class Turn(TypedDict):
    """One message as the Chatbot holds it."""

    role: Literal["user", "assistant"]
    content: list[dict[str, str]]
    metadata: dict[str, object]


History = list[Turn]


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
    shown = as_typed(text) if role == "user" else as_markdown(text)
    return {"role": role, "content": [{"type": "text", "text": shown}], "metadata": metadata}


def text_of(content: object) -> str:
    """Return the text of a turn's content or of a Chatbot event: a string, a part or parts.

    Parts that are not text (files, components) are left out.
    """
    if isinstance(content, str):
        return spoken(content)
    if isinstance(content, dict):
        text = content.get("text")
        return spoken(text) if isinstance(text, str) else ""
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
    for item in history:
        text = text_of(item["content"])
        if text or item["role"] == "user":
            messages.append(Message(item["role"], text))
    return tuple(messages)


def last_user_index(history: Sequence[Turn]) -> int | None:
    """Return the index of the user's last message."""
    return next((i for i in reversed(range(len(history))) if history[i]["role"] == "user"), None)
