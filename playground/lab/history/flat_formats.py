"""Conversations without branches: ShareGPT, and chat messages as training rows have them."""

import json
from collections.abc import Mapping, Sequence

from playground.lab.history.fields import Fields, Unreadable
from playground.lab.history.items import call_item, message_item, reasoning_item
from playground.store.conversation_types import Item, NewConversation, NewItem

ROLES: Mapping[str, str] = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
    "chatgpt": "assistant", "model": "assistant", "bot": "assistant", "system": "system",
    "developer": "system", "observation": "tool", "tool": "tool", "function": "tool",
    "function_response": "tool", "function_call": "call", "tool_call": "call",
}  # fmt: skip
"""The names of who speaks, in either form."""


def from_sharegpt(entry: Fields) -> NewConversation:
    """Read ``{"conversations": [{"from": "human", "value": …}, …]}``."""
    items: list[Item] = []
    system = entry.text("system")
    for place, turn in enumerate(entry.objects("conversations")):
        role = _role(turn.text("from") or turn.text("role"), f"conversations[{place}].from")
        text = turn.text("value") or turn.text("content")
        if role == "system":
            system = text
        elif role == "call":
            items.append(_written_call(text, place))
        elif role == "tool":
            items.append(_result(text, _last_call(items)))
        else:
            items.append(message_item(role, text))
    return _conversation(entry, items, system)


def from_messages(entry: Fields) -> NewConversation:
    """Read ``{"messages": [{"role": "user", "content": …}, …]}``."""
    items: list[Item] = []
    system = entry.text("system")
    for place, message in enumerate(entry.objects("messages")):
        role = _role(message.text("role"), f"messages[{place}].role")
        text = content_text(message.all.get("content"))
        if role == "system" and not items:
            system = text
        elif role == "tool":
            items.append(_result(text, message.text("tool_call_id") or _last_call(items)))
        else:
            items += _answer(message, role, text)
    return _conversation(entry, items, system)


def content_text(content: object) -> str:
    """Return the text of a message's content; what is no text is named in brackets."""
    if isinstance(content, list):
        return "\n".join(filter(None, map(content_text, content)))
    if isinstance(content, dict):
        text = content.get("text")
        if isinstance(text, str):
            return text
        kind = str(content.get("content_type") or content.get("type") or "")
        return f"[{'image' if 'image' in kind else kind or 'no text'}]"
    return content if isinstance(content, str) else ""


def _answer(message: Fields, role: str, text: str) -> list[Item]:
    items: list[Item] = []
    reasoning = message.text("reasoning_content")
    if reasoning:
        items.append(reasoning_item(reasoning))
    calls = message.objects("tool_calls")
    if text or not calls:
        items.append(message_item(role, text))
    for call in calls:
        function = call.object("function")
        arguments = function.all.get("arguments")
        written = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        items.append(call_item(call.text("id"), function.text("name"), written))
    return items


def _conversation(entry: Fields, items: Sequence[Item], system: str) -> NewConversation:
    tools = entry.all.get("tools")
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except ValueError as error:
            raise Unreadable(f"tools: is not JSON: {error}") from None
    listed = [each for each in tools if isinstance(each, dict)] if isinstance(tools, list) else []
    return NewConversation(
        [NewItem(item) for item in items],
        title=entry.text("title"),
        kind="import",
        model=entry.text("model"),
        system=system,
        tools=[
            tool if "function" in tool else {"type": "function", "function": tool}
            for tool in listed
        ],
    )


def _role(name: str, field: str) -> str:
    role = ROLES.get(name.lower())
    if role is None:
        raise Unreadable(f"{field}: {name!r} is nobody who speaks here")
    return role


def _written_call(text: str, place: int) -> Item:
    try:
        call = json.loads(text)
        arguments = call["arguments"]
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return call_item(f"call_{place}", str(call["name"]), written)
    except (ValueError, KeyError, TypeError):
        raise Unreadable(
            f"conversations[{place}].value: a call is JSON with name and arguments"
        ) from None


def _last_call(items: Sequence[Item]) -> str:
    """The first call that has no result yet; ShareGPT names none."""
    answered = {item["call_id"] for item in items if item["type"] == "function_call_output"}
    calls = [item["call_id"] for item in items if item["type"] == "function_call"]
    return str(
        next((call for call in calls if call not in answered), calls[-1] if calls else "call")
    )


def _result(text: str, call_id: str) -> Item:
    return {"type": "function_call_output", "call_id": call_id, "output": text}
