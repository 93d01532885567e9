"""The conversation object of OpenAI's API with what we add, its items, and the bodies that are
sent for both."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError

from playground.api.responses_schemas import MAX_METADATA, InputItem
from playground.api.schemas import Body
from playground.errors import InvalidRequest
from playground.protocol.json_types import JsonObject
from playground.store.conversation_types import Conversation, Item, KeptItem, NewItem, Summary

MAX_ITEMS = 20
"""Items of one request, as OpenAI has it."""
Metadata = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]]
OptionalMetadata = Annotated[Metadata | None, Field(max_length=MAX_METADATA)]


class ConversationBody(Body):
    """``POST /v1/conversations``; all but items and metadata are ours."""

    items: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_ITEMS)
    metadata: OptionalMetadata = None
    title: str = ""
    folder: str = ""
    tags: list[str] = Field(default_factory=list)
    instructions: str = ""


class ChangeBody(Body):
    """``POST /v1/conversations/ID``: what is given is changed; all but metadata are ours."""

    metadata: OptionalMetadata = None
    title: str | None = None
    folder: str | None = None
    tags: list[str] | None = None
    archived: bool | None = None
    head: str | None = None


class ItemsBody(Body):
    """``POST /v1/conversations/ID/items``."""

    items: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_ITEMS)


class ForkBody(Body):
    """``POST /v1/conversations/ID/fork``: up to which item; up to the head if it is not given."""

    item_id: str | None = None


def conversation_object(summary: Summary) -> Item:
    """OpenAI's object, and what a list of conversations shows."""
    found = {"snippet": summary.snippet} if summary.snippet else {}
    return {
        "id": summary.id,
        "object": "conversation",
        "created_at": int(summary.created),
        "metadata": dict(summary.metadata),
        "updated_at": int(summary.updated),
        "title": summary.title,
        "kind": summary.kind,
        "model": summary.model,
        "folder": summary.folder,
        "tags": list(summary.tags),
        "archived": summary.archived,
        **found,
    }


def branch_object(conversation: Conversation, leaf: KeptItem) -> Item:
    """A branch, by its last item."""
    path = conversation.path(leaf.id)
    return {
        "object": "conversation.branch",
        "item_id": leaf.id,
        "items": len(path),
        "current": leaf.id == conversation.head_id,
    }


def new_items(items: Sequence[JsonObject]) -> list[NewItem]:
    """Items as they were sent, checked as the input of a response is.

    Raises `InvalidRequest` or pydantic's `ValidationError` naming the item and its field.
    """
    return [_new_item(place, item) for place, item in enumerate(items)]


def turn_items(sent: Sequence[Item], response: Item) -> list[NewItem]:
    """The items of a request and of the response to it, to be kept."""
    output = response["output"]
    answered: Sequence[Item] = output if isinstance(output, list) else ()
    about = {"model": response["model"], "response_id": response["id"]}
    asked = [NewItem(_of_role(item), id=str(item.get("id") or "")) for item in sent]
    return [*asked, *(NewItem(item, about, str(item["id"])) for item in answered)]


def _new_item(place: int, item: JsonObject) -> NewItem:
    try:
        parsed = InputItem.model_validate(item)
    except ValidationError as error:
        fault = error.errors()[0]
        where = "".join(
            f"[{each}]" if isinstance(each, int) else f".{each}" for each in fault["loc"]
        )
        raise InvalidRequest(f"items[{place}]{where}", str(fault["msg"])) from None
    if parsed.type == "item_reference":
        raise InvalidRequest(f"items[{place}].type", "a reference is no item; send the item")
    if parsed.type == "message" and parsed.role is None:
        raise InvalidRequest(f"items[{place}].role", "is needed of a message")
    needs_call = parsed.type in ("function_call", "function_call_output")
    if needs_call and not parsed.call_id:
        raise InvalidRequest(f"items[{place}].call_id", f"is needed of a {parsed.type}")
    dumped = parsed.model_dump(exclude_none=True, exclude_unset=True, exclude={"id"})
    return NewItem(_of_role({**dumped, "type": parsed.type}), id=parsed.id or "")


def _of_role(item: Item) -> Item:
    """The item with the kind of text that its role writes; a string has become an input's."""
    content = item.get("content")
    if item.get("role") != "assistant" or not isinstance(content, list):
        return item
    written = [
        {"annotations": [], "logprobs": [], **part, "type": "output_text"}
        if part.get("type") in ("input_text", "text")
        else part
        for part in content
    ]
    return {**item, "content": written}
