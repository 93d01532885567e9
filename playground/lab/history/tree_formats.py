"""Conversations with branches of other makers: ChatGPT's ``mapping`` and Open WebUI's ``history``.

Both hold messages by id, each with the id of the one before it. Messages that nobody saw (empty
ones, hidden instructions) are left out, and what follows them follows the one before.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from playground.lab.history.fields import Fields, Unreadable, id_of
from playground.lab.history.flat_formats import content_text
from playground.lab.history.items import call_item, message_item, reasoning_item
from playground.store.conversation_types import Item, NewConversation, NewItem

HIDDEN_KINDS = ("user_editable_context", "model_editable_context", "reasoning_recap")


@dataclass(slots=True)
class _Tree:
    """Items as they are read; ``ends`` is the place of the last item of each message."""

    items: list[NewItem] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        node: str,
        parent: int,
        items: list[Item],
        about: Mapping[str, object],
        created: float | None,
    ) -> None:
        """Add a message's items behind those of the one before."""
        for item in items:
            self.items.append(NewItem(item, about, parent=parent, created=created))
            parent = len(self.items) - 1
        self.ends[node] = parent


def from_chatgpt(entry: Fields) -> NewConversation:
    """Read a conversation of ``conversations.json``."""
    nodes = {
        name: Fields(node, f"mapping.{name}") for name, node in entry.mapping("mapping").items()
    }
    tree, calls = _Tree(), dict[str, str]()
    model = ""
    for name, parent in _in_order({name: node.text("parent") for name, node in nodes.items()}):
        message = nodes[name].object("message")
        author, metadata = message.object("author"), message.object("metadata")
        role = author.text("role")
        items: list[Item] = []
        before = nodes[name].text("parent")
        if before in calls:
            calls[name] = calls[before]
        if not metadata.flag("is_visually_hidden_from_conversation"):
            items = _chatgpt_items(message, role, name, calls)
        slug = metadata.text("model_slug") if role == "assistant" else ""
        model = slug or model
        about = {"model": slug} if slug and items else {}
        tree.add(name, tree.ends.get(parent, -1), items, about, message.number("create_time"))
    return _conversation(
        tree, entry.text("current_node"), model,
        id=id_of("chatgpt", entry.text("conversation_id") or entry.text("id")),
        title=entry.text("title"),
        archived=entry.flag("is_archived"),
        created=entry.number("create_time"),
        updated=entry.number("update_time"),
    )  # fmt: skip


def from_open_webui(entry: Fields) -> NewConversation:
    """Read a chat of Open WebUI's export."""
    chat = entry.object("chat")
    history = chat.object("history")
    messages = {
        name: Fields(message, f"chat.history.messages.{name}")
        for name, message in history.mapping("messages").items()
    }
    if not messages:  # before there were branches
        messages = {str(place): message for place, message in enumerate(chat.objects("messages"))}
        parents = {str(place): str(place - 1) if place else "" for place in range(len(messages))}
    else:
        parents = {name: message.text("parentId") for name, message in messages.items()}
    tree, model = _Tree(), ""
    for name, parent in _in_order(parents):
        message = messages[name]
        role, text = message.text("role"), content_text(message.all.get("content"))
        if role not in ("user", "assistant", "system"):
            raise Unreadable(f"messages.{name}.role: {role!r} is nobody who speaks here")
        items = [message_item(role, text)] if text else []
        answered_by = message.text("model") if role == "assistant" else ""
        model = answered_by or model
        about = {"model": answered_by} if answered_by and items else {}
        tree.add(name, tree.ends.get(parent, -1), items, about, message.number("timestamp"))
    meta = entry.object("meta")
    return _conversation(
        tree, history.text("currentId") or next(reversed(messages), ""), model,
        id=id_of("open-webui", entry.text("id")),
        title=entry.text("title") or chat.text("title"),
        system=chat.text("system") or chat.object("params").text("system"),
        tags=meta.texts("tags") or chat.texts("tags"),
        archived=entry.flag("archived"),
        created=entry.number("created_at") or chat.number("timestamp"),
        updated=entry.number("updated_at"),
    )  # fmt: skip


def _conversation(tree: _Tree, head: str, model: str, **fields: object) -> NewConversation:
    place = tree.ends.get(head, -1)
    return NewConversation(
        tree.items,
        kind="import",
        model=model,
        head=place if place >= 0 else None,
        **fields,  # type: ignore[arg-type]
    )


def _in_order(parents: Mapping[str, str]) -> list[tuple[str, str]]:
    """Messages with those before them, each after the one before it. Raises `Unreadable` where a
    message follows one that is not there, or itself."""
    order: list[tuple[str, str]] = []
    done: set[str] = set()
    for name in parents:
        chain: list[str] = []
        step = name
        while step and step not in done:
            if step not in parents:
                raise Unreadable(f"message {chain[-1]}: follows {step!r}, which is not there")
            if step in chain:
                raise Unreadable(f"message {step}: follows itself")
            chain.append(step)
            step = parents[step]
        for each in reversed(chain):
            done.add(each)
            order.append((each, parents[each]))
    return order


def _chatgpt_items(message: Fields, role: str, name: str, calls: dict[str, str]) -> list[Item]:
    """A message's items; ``calls`` holds, by message, the call that waits for its result."""
    content = message.object("content")
    kind, text = content.text("content_type"), _chatgpt_text(content)
    if kind in HIDDEN_KINDS or not text.strip():
        return []
    recipient = message.text("recipient") or "all"
    if role == "tool":
        call_id = calls.pop(name, "")
        result: Item = {"type": "function_call_output", "call_id": call_id, "output": text}
        return [result] if call_id else []
    if role == "assistant" and kind == "thoughts":
        return [reasoning_item(text)]
    if role == "assistant" and recipient != "all":
        calls[name] = f"call_{name}"
        return [call_item(calls[name], recipient, json.dumps({"input": text}))]
    calls.pop(name, None)
    if role not in ("user", "assistant", "system"):
        raise Unreadable(f"mapping.{name}.message.author.role: {role!r} is nobody who speaks here")
    return [message_item(role, text)]


def _chatgpt_text(content: Fields) -> str:
    thoughts = [
        "\n".join(filter(None, (each.text("summary"), each.text("content"))))
        for each in content.objects("thoughts")
    ]
    parts = [content_text(part) for part in content.list("parts")]
    found = "\n\n".join(filter(None, [*thoughts, *parts]))
    return found or content.text("text") or content.text("result") or content.text("content")
