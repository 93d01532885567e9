"""Conversations: what Gradio's Chatbot holds and what the protocol asks for, converted both ways.

The Chatbot's value is the only copy of the conversation. A turn's text stands in a typed part,
never in a bare string: Gradio strips and dedents bare strings.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from playground.protocol import Message, Provenance

Turn = dict[str, Any]
History = list[Turn]


def turn(
    role: Literal["user", "assistant"],
    text: str,
    note: str = "",
    provenance: Provenance | None = None,
) -> Turn:
    """One message as the Chatbot holds it; ``note`` and ``provenance`` are kept and not shown."""
    metadata = {"log": note} if note else {}
    if provenance:
        metadata["id"] = json.dumps(asdict(provenance))
    return {"role": role, "content": [{"type": "text", "text": text}], "metadata": metadata}


def text_of(content: Any) -> str:
    """The text of a turn's content, or of what a Chatbot event carries: a string, a part or parts.

    Parts that are not text (files, components) are left out.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        text = content.get("text")
        return text if isinstance(text, str) else ""
    return "\n\n".join(filter(None, map(text_of, content or ())))


def note_of(history: Sequence[Turn]) -> str:
    """The note that was kept with the last turn, if that is an answer."""
    if not history or history[-1]["role"] != "assistant":
        return ""
    return str((history[-1].get("metadata") or {}).get("log") or "")


def provenance_of(item: Turn) -> Provenance:
    """What made this answer, if that was kept with it."""
    try:
        return Provenance(**json.loads((item.get("metadata") or {}).get("id") or "{}"))
    except (ValueError, TypeError):
        return Provenance()


def to_messages(history: Sequence[Turn], system_prompt: str = "") -> tuple[Message, ...]:
    """The conversation as a request carries it; a blank system prompt and empty answers are left
    out.
    """
    messages = [Message("system", system_prompt)] if system_prompt.strip() else []
    for item in history:
        text = text_of(item["content"])
        if text or item["role"] == "user":
            messages.append(Message(item["role"], text))
    return tuple(messages)


def last_user_index(history: Sequence[Turn]) -> int | None:
    """Where the last message of the user stands."""
    return next((i for i in reversed(range(len(history))) if history[i]["role"] == "user"), None)
