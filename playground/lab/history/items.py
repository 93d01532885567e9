"""Between chat messages and the items of the Responses API, in which conversations are kept.

An answer of the assistant is one message and up to three kinds of items: reasoning, text, calls.
"""

from collections.abc import Iterable, Mapping

from playground.protocol import Message, ToolCall
from playground.store.conversation_types import Item, text_of


def items_of(message: Message) -> list[Item]:
    """Return a message as items, at least one."""
    if message.role == "tool":
        call_id = message.tool_call_id or ""
        return [{"type": "function_call_output", "call_id": call_id, "output": message.content}]
    items: list[Item] = []
    if message.reasoning:
        items.append(reasoning_item(message.reasoning))
    if message.content or not (message.reasoning or message.tool_calls):
        items.append(message_item(message.role, message.content))
    for call in message.tool_calls:
        items.append(call_item(call.id, call.name, call.arguments))
    return items


def message_item(role: str, text: str) -> Item:
    """Return a message's text as an item."""
    kind = "output_text" if role == "assistant" else "input_text"
    part: Item = {"type": kind, "text": text}
    if role == "assistant":
        part |= {"annotations": [], "logprobs": []}
    return {"type": "message", "role": role, "content": [part]}


def reasoning_item(text: str) -> Item:
    """Return reasoning as an item."""
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "summary": [], "content": content}


def call_item(call_id: str, name: str, arguments: str) -> Item:
    """Return a call as an item; ``arguments`` is JSON."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def messages_of(items: Iterable[Mapping[str, object]]) -> list[Message]:
    """Return items as messages. Items of other kinds, which only imports may have, are left out."""
    messages: list[Message] = []
    is_open = False  # whether the last message is an answer to which more may belong
    for each in items:
        item, text = dict(each), text_of(dict(each))
        kind, role = item.get("type", "message"), str(item.get("role") or "")
        if kind == "function_call_output":
            messages.append(Message("tool", text, tool_call_id=str(item.get("call_id") or "call")))
            is_open = False
        elif kind == "message" and role != "assistant":
            messages.append(Message("user" if role == "user" else "system", text))
            is_open = False
        elif kind in ("message", "reasoning", "function_call"):
            before = messages.pop() if is_open else Message("assistant")
            added = _added(before, str(kind), item, text)
            messages += [added] if added is not None else [before, _fresh(str(kind), item, text)]
            is_open = True
    return messages


def _added(answer: Message, kind: str, item: Item, text: str) -> Message | None:
    """Return an answer with one more item; None if the item begins another answer."""
    content, calls, reasoning = answer.content, answer.tool_calls, answer.reasoning
    if kind == "function_call":
        calls = (*calls, _call(item))
    elif content or calls:
        return None
    elif kind == "message":
        content = text
    elif reasoning:
        return None
    else:
        reasoning = text
    return Message("assistant", content, calls, reasoning=reasoning)


def _fresh(kind: str, item: Item, text: str) -> Message:
    return _added(Message("assistant"), kind, item, text) or Message("assistant")


def _call(item: Item) -> ToolCall:
    arguments = str(item.get("arguments") or "{}")
    return ToolCall(str(item.get("call_id") or ""), str(item.get("name") or ""), arguments)
