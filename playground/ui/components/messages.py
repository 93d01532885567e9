"""Conversations, converted between Gradio's Chatbot and the protocol's messages.

The Chatbot's value is the only copy of the conversation. A turn's text is a typed part, never a
bare string: Gradio strips and dedents bare strings. It is held as it is drawn (`shown_text`):
what people wrote character by character, answers as Markdown.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, NotRequired, TypedDict, cast

from playground.protocol import Message, Provenance
from playground.ui.components.shown_text import as_markdown, as_typed, spoken


class Turn(TypedDict):
    """One message as the Chatbot holds it. ``options`` are other answers to the same message."""

    role: Literal["user", "assistant"]
    content: list[dict[str, str]]
    metadata: dict[str, object]
    options: NotRequired[list[dict[str, str]]]


History = list[Turn]
REASONING = "Reasoning"
"""The title of a turn that holds what was written before the answer; the Chatbot folds it."""


def turn(
    role: Literal["user", "assistant"],
    text: str,
    note: str = "",
    provenance: Provenance | None = None,
    byline: str = "",
) -> Turn:
    """Build a turn; ``note`` and ``provenance`` are kept with it and not shown. ``byline`` says
    over an answer whose it is.
    """
    metadata: dict[str, object] = {"log": note} if note else {}
    if provenance:
        metadata["id"] = json.dumps(asdict(provenance))
    shown = as_typed(text) if role == "user" else as_markdown(text, byline)
    return {"role": role, "content": [{"type": "text", "text": shown}], "metadata": metadata}


def answer_turns(
    text: str,
    reasoning: str = "",
    note: str = "",
    provenance: Provenance | None = None,
    *,
    byline: str = "",
    running: bool = False,
) -> History:
    """Build the turns of an answer: its reasoning, open while nothing but that is written, then its
    text under its ``byline``. The last one keeps ``note`` and ``provenance``.
    """
    turns: History = []
    if reasoning:
        thought = turn("assistant", reasoning, "" if text else note)
        status = "pending" if running and not text else "done"
        thought["metadata"] |= {"title": REASONING, "status": status}
        turns.append(thought)
    if text:
        turns.append(turn("assistant", text, note, provenance, byline))
    return turns


def is_thought(item: Turn) -> bool:
    """Say whether a turn is an answer's reasoning."""
    return (item.get("metadata") or {}).get("title") == REASONING


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


def with_versions(answers: Sequence[Turn], shown: int) -> Turn:
    """Return one of several answers to a message; the others are offered below it."""
    plain = [_without_versions(answer) for answer in answers]
    if len(plain) == 1:
        return plain[0]
    metadata = dict(plain[shown]["metadata"])
    kept = json.loads(str(metadata.get("id") or "{}"))
    metadata["id"] = json.dumps(kept | {"versions": plain, "shown": shown})
    chosen = {**plain[shown], "metadata": metadata}
    chosen["options"] = [
        {"value": str(index), "label": _version_label(index, shown, len(plain))}
        for index in range(len(plain))
    ]
    return cast("Turn", chosen)


def versions_of(answer: Turn) -> list[Turn]:
    """Return all answers that were given to the same message, in their order."""
    try:
        kept = json.loads(str((answer.get("metadata") or {}).get("id") or "{}"))
    except ValueError:
        kept = {}
    versions = kept.get("versions")
    if not isinstance(versions, list) or not versions:
        return [_without_versions(answer)]
    shown = int(kept.get("shown", 0))
    current = _without_versions(answer)  # it may have been edited since
    return [current if index == shown else item for index, item in enumerate(versions)]


def _without_versions(answer: Turn) -> Turn:
    metadata = dict(answer.get("metadata") or {})
    if metadata.get("id"):
        try:
            kept = json.loads(str(metadata["id"]))
        except ValueError:
            kept = {}
        metadata["id"] = json.dumps(
            {key: value for key, value in kept.items() if key not in ("versions", "shown")}
        )
    content = [{"type": "text", "text": part["text"]} for part in answer["content"]]
    return {"role": answer["role"], "content": content, "metadata": metadata}


def _version_label(index: int, shown: int, count: int) -> str:
    number = f"{index + 1}/{count}"
    return number if index == shown else f"‹ {number}" if index < shown else f"{number} ›"


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
