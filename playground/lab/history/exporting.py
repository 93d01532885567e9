"""Conversations as files: ours, Markdown, ShareGPT, and rows to train on.

Ours holds every branch; the others hold the branch that is shown.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Literal

from playground.errors import PlaygroundError, UnknownConversation
from playground.lab.history.items import messages_of
from playground.protocol import Message
from playground.store.conversation_types import Conversation, Wanted
from playground.store.conversations import Conversations

ExportFormat = Literal["json", "markdown", "sharegpt", "rows"]
FILE_KIND = "mistral-playground.conversations"
FILE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Export:
    """A file: its text, its name, and how many conversations it holds. ``left_out`` had no answer
    that a row could be made of."""

    text: str
    name: str
    media_type: str
    count: int
    left_out: int = 0


FORMATS: Mapping[ExportFormat, str] = MappingProxyType(
    {
        "json": "JSON, with every branch",
        "markdown": "Markdown",
        "sharegpt": "ShareGPT",
        "rows": "Fine-tuning rows",
    }
)


def every(store: Conversations, wanted: Wanted) -> Iterator[Conversation]:
    """Yield all conversations that are wanted, whole; ``limit`` is how many are listed at once."""
    page = store.list(wanted)
    while True:
        for summary in page.conversations:
            try:
                yield store.find(summary.id)
            except UnknownConversation:  # deleted meanwhile
                continue
        if not page.has_more:
            return
        page = store.list(replace(wanted, after=page.conversations[-1].id))


def export(conversations: Sequence[Conversation], form: ExportFormat) -> Export:
    """Return conversations as a file of this form."""
    if form == "json":
        body = {
            "format": FILE_KIND,
            "version": FILE_VERSION,
            "conversations": [_ours(each) for each in conversations],
        }
        text = json.dumps(body, ensure_ascii=False, indent=1) + "\n"
        return Export(text, "conversations.json", "application/json", len(conversations))
    if form == "markdown":
        text = "\n\n---\n\n".join(_markdown(each) for each in conversations)
        return Export(text, "conversations.md", "text/markdown", len(conversations))
    if form == "sharegpt":
        talks = [_sharegpt(each) for each in conversations]
        text = json.dumps(talks, ensure_ascii=False, indent=1) + "\n"
        return Export(text, "conversations.sharegpt.json", "application/json", len(talks))
    rows = [row for row in map(_row, conversations) if row]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    left_out = len(conversations) - len(rows)
    return Export(text, "conversations.jsonl", "application/jsonl", len(rows), left_out)


def latest_rows(store: Conversations, most: int) -> list[Mapping[str, object]]:
    """Return the latest conversations that have an answer as training rows, ``most`` at most."""
    rows = (row for row in map(_row, every(store, Wanted())) if row)
    return list(islice(rows, most))


def _ours(conversation: Conversation) -> Mapping[str, object]:
    summary = asdict(conversation.summary)
    summary.pop("snippet")
    return {
        **summary,
        "system": conversation.system,
        "tools": list(conversation.tools),
        "head_id": conversation.head_id,
        "items": [asdict(item) for item in conversation.items],
    }


def _talk(conversation: Conversation) -> list[Message]:
    """The messages of the branch that is shown, under its system prompt."""
    messages = messages_of(item.item for item in conversation.path())
    if conversation.system.strip() and not any(each.role == "system" for each in messages[:1]):
        return [Message("system", conversation.system), *messages]
    return messages


def _markdown(conversation: Conversation) -> str:
    summary = conversation.summary
    day = datetime.fromtimestamp(summary.created, UTC).date().isoformat()
    lines = [f"# {summary.title or 'Untitled'}", "", " · ".join(filter(None, [day, summary.model]))]
    for message in _talk(conversation):
        lines += ["", f"## {message.role.capitalize()}"]
        if message.reasoning:
            lines += ["", "\n".join(f"> {line}" for line in message.reasoning.splitlines())]
        if message.content:
            lines += ["", message.content]
        for call in message.tool_calls:
            lines += ["", f"`{call.name}`", "", "```json", call.arguments, "```"]
    return "\n".join(lines) + "\n"


def _sharegpt(conversation: Conversation) -> Mapping[str, object]:
    names = {"user": "human", "assistant": "gpt", "tool": "observation"}
    talk: list[Mapping[str, str]] = []
    system = ""
    for message in _talk(conversation):
        if message.role == "system":
            system = message.content
            continue
        if message.content or not message.tool_calls:
            talk.append({"from": names[message.role], "value": message.content})
        for call in message.tool_calls:
            value = json.dumps({"name": call.name, "arguments": json.loads(call.arguments)})
            talk.append({"from": "function_call", "value": value})
    row: dict[str, object] = {"id": conversation.id, "conversations": talk}
    if system:
        row["system"] = system
    if conversation.tools:
        row["tools"] = json.dumps([tool.get("function", tool) for tool in conversation.tools])
    return row


def _row(conversation: Conversation) -> Mapping[str, object] | None:
    """A row that `finetune check` takes, up to its last answer; None without a question and one."""
    try:
        messages = _talk(conversation)
    except PlaygroundError:  # an import may have calls whose arguments are no JSON
        return None
    while messages and not (messages[-1].role == "assistant" and _is_answer(messages[-1])):
        messages.pop()
    if not any(each.role == "user" for each in messages):
        return None
    row: dict[str, object] = {"messages": [message.to_openai() for message in messages]}
    if conversation.tools:
        row["tools"] = list(conversation.tools)
    return row


def _is_answer(message: Message) -> bool:
    return bool(message.content or message.tool_calls)
