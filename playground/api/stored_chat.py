"""Stored chat completions, as OpenAI has them: those that were created with ``store: true``."""

import asyncio
import re
from typing import Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from playground.api.errors import Refused
from playground.api.paging import list_body, page_of
from playground.api.schemas import Body, ChatBody, Labels
from playground.errors import UnknownCompletion
from playground.store.completions import Completions, Item, KeptCompletion

LABEL = re.compile(r"metadata\[([^\]]{1,64})\]")


class LabelsBody(Body):
    """``POST /v1/chat/completions/{completion_id}``."""

    metadata: Labels


def stored_chat_router(completions: Completions) -> APIRouter:
    """List, retrieve, label, delete; list the messages that were answered."""
    router = APIRouter(prefix="/chat/completions")

    @router.get("")
    async def list_completions(
        http: Request,
        limit: int = Query(20, ge=1, le=100),
        after: str | None = None,
        order: Literal["asc", "desc"] = "asc",
        model: str | None = None,
    ) -> dict[str, object]:
        names = ((LABEL.fullmatch(key), value) for key, value in http.query_params.items())
        labels = {match[1]: value for match, value in names if match}
        try:
            page, more = await asyncio.to_thread(
                completions.page,
                limit,
                after,
                model=model,
                labels=labels,
                latest_first=order == "desc",
            )
        except UnknownCompletion as error:
            problem = f"after: {error.message}"
            raise Refused(404, "not_found", problem, "after") from None
        return list_body([_shown(kept) for kept in page], more)

    @router.get("/{completion_id}")
    async def retrieve(completion_id: str) -> Item:
        return _shown(await asyncio.to_thread(completions.find, completion_id))

    @router.post("/{completion_id}")
    async def label(completion_id: str, body: LabelsBody) -> Item:
        labels = body.metadata or {}
        return _shown(await asyncio.to_thread(completions.label, completion_id, labels))

    @router.delete("/{completion_id}")
    async def delete(completion_id: str) -> Item:
        await asyncio.to_thread(completions.delete, completion_id)
        return {"id": completion_id, "object": "chat.completion.deleted", "deleted": True}

    @router.get("/{completion_id}/messages")
    async def messages(
        completion_id: str,
        limit: int = Query(20, ge=1, le=100),
        after: str | None = None,
        order: Literal["asc", "desc"] = "asc",
    ) -> Item:
        found = (await asyncio.to_thread(completions.find, completion_id)).messages
        ordered = found if order == "asc" else found[::-1]
        page, more = page_of(ordered, lambda message: message["id"], limit, after)
        return list_body(page, more)

    return router


def kept_completion(body: ChatBody, reply: Item) -> KeptCompletion:
    """What is stored of a completion; a message's id holds the completion's and its place."""
    completion_id = str(reply["id"])
    messages: list[Item] = []
    for place, message in enumerate(body.messages):
        texts = [part.text for part in message.content or ()]
        messages.append(
            message.model_dump(exclude_none=True)
            | {
                "id": f"{completion_id}-{place}",
                "content": "\n".join(texts) if message.content is not None else None,
                "content_parts": None,
            }
        )
    kept = {name: value for name, value in reply.items() if name != "prompt"}
    return KeptCompletion(completion_id, str(reply["model"]), body.metadata or {}, messages, kept)


def _shown(kept: KeptCompletion) -> Item:
    return {**kept.body, "metadata": dict(kept.labels)}
