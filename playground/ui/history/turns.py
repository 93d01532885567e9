"""Between what a tab shows and the items that are kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal, cast

from playground.lab.history.items import (
    items_of,
    message_item,
    messages_of,
    reasoning_item,
)
from playground.protocol import Message, Provenance
from playground.store.conversation_types import Conversation, KeptItem, NewItem, text_of
from playground.ui.components.messages import (
    History,
    Turn,
    answer_turns,
    is_thought,
    note_of,
    provenance_of,
    turn,
    with_versions,
)
from playground.ui.components.messages import text_of as shown_text
from playground.ui.components.shown_text import byline_of
from playground.ui.functions.timeline import Run, Timeline


def path_of(history: Sequence[Turn]) -> list[NewItem]:
    """Return a conversation of the Chat tab as items; empty answers are left out."""
    path: list[NewItem] = []
    for item in history:
        text = shown_text(item["content"])
        if item["role"] == "user":
            path.append(NewItem(message_item("user", text)))
        elif text and is_thought(item):
            path.append(NewItem(reasoning_item(text), _about(item)))
        elif text:
            path.append(NewItem(message_item("assistant", text), _about(item)))
    return path


def history_of(conversation: Conversation) -> History:
    """Return a kept conversation as the Chat tab shows it; under the last answer its others."""
    path = conversation.path()
    history: History = []
    for item in path:
        history += _turns(item)
    others = _answers_beside(conversation, path)
    if len(others) > 1 and history and history[-1]["role"] == "assistant":
        ends = [end for end, _ in others]
        shown = ends.index(path[-1].id) if path[-1].id in ends else 0
        history[-1] = with_versions([version for _, version in others], shown)
    return history


def path_of_timeline(timeline: Timeline) -> list[NewItem]:
    """Return a conversation of the Functions tab as items, with the outcome of each call."""
    path: list[NewItem] = []
    bylines = iter(timeline.bylines)
    for message in timeline.messages:
        if message.role == "system":
            continue
        about = {"byline": next(bylines, "")} if message.role == "assistant" else {}
        for item in items_of(message):
            run = timeline.runs.get(str(item.get("call_id")))
            is_call = item["type"] == "function_call"
            facts = {**about, "run": asdict(run)} if is_call and run else about
            path.append(NewItem(item, facts))
    return path


def timeline_of(conversation: Conversation) -> Timeline:
    """Return a kept conversation as the Functions tab shows it."""
    path = conversation.path()
    messages = messages_of(item.item for item in path)
    runs: dict[str, Run] = {}
    for item in path:
        run = item.about.get("run")
        if isinstance(run, dict):
            runs[str(item.item.get("call_id"))] = Run(**{**run, "running": False})
    bylines = _bylines(path, messages)
    return Timeline(tuple(messages), runs, (), bylines)


def preview_of(item: KeptItem, length: int = 60) -> str:
    """Return the beginning of what an item says."""
    line = " ".join(text_of(item.item).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _about(item: Turn) -> Mapping[str, object]:
    """What is known of an answer: its note, what made it, and whose it is."""
    provenance = provenance_of(item)
    facts: dict[str, object] = {"byline": byline_of(item["content"][0]["text"])}
    if note := note_of([item]):
        facts["note"] = note
    if provenance != Provenance():
        facts["provenance"] = asdict(provenance)
    return facts


def _turns(item: KeptItem) -> History:
    kind, text = item.item.get("type", "message"), text_of(item.item)
    if kind == "reasoning":
        return answer_turns("", text)
    if kind == "function_call":
        return [turn("assistant", f"```\n{text}\n```")]
    if kind != "message":
        return [turn("assistant", f"```\n{text}\n```", byline="result")]
    role = "user" if item.item.get("role") == "user" else "assistant"
    if item.item.get("role") not in ("user", "assistant"):
        return []
    note, byline = item.about.get("note"), item.about.get("byline") or item.about.get("model")
    return [
        turn(
            cast("Literal['user', 'assistant']", role),
            text,
            str(note or ""),
            Provenance.parse(cast("dict[str, object]", item.about.get("provenance") or {})),
            str(byline or ""),
        )
    ]


def _answers_beside(conversation: Conversation, path: Sequence[KeptItem]) -> list[tuple[str, Turn]]:
    """The answers to the last message, each with the id of its last item, if the path ends with
    one of them."""
    if not path or path[-1].item.get("role") != "assistant":
        return []
    asked = next((item for item in reversed(path) if item.item.get("role") == "user"), None)
    if asked is None:
        return []
    found: list[tuple[str, Turn]] = []
    for first in conversation.children(asked.id):
        step = first
        while step.item.get("type") == "reasoning" and conversation.children(step.id):
            step = conversation.children(step.id)[-1]
        turns = _turns(step) if step.item.get("role") == "assistant" else []
        found += [(step.id, each) for each in turns]
    return found


def _bylines(path: Sequence[KeptItem], messages: Sequence[Message]) -> tuple[str, ...]:
    """Whose the assistant's messages are, in their order."""
    named: list[str] = []
    is_open = False
    for item in path:
        is_answer = item.item.get("role") == "assistant" or item.item.get("type") in (
            "reasoning",
            "function_call",
        )
        if is_answer and not is_open:
            named.append(str(item.about.get("byline") or ""))
        is_open = is_answer and item.item.get("type") != "message"
    count = sum(message.role == "assistant" for message in messages)
    return tuple([*named, *[""] * count][:count])
