"""``/v1/conversations`` in OpenAI's form, and what we add: a list with search, branches, forks,
exports and imports.
"""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, File, Query, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from playground.api.connection import read_object
from playground.api.conversation_objects import (
    ChangeBody,
    ConversationBody,
    ForkBody,
    ItemsBody,
    branch_object,
    conversation_object,
    new_items,
)
from playground.api.paging import list_body, page_of
from playground.lab.history import ExportFormat, every, export, read_conversations
from playground.store.conversation_types import Item, Kind, NewConversation, Wanted
from playground.store.conversations import Conversations

Answer = dict[str, object]


def conversations_router(store: Conversations) -> APIRouter:
    """Create, list, search, change, fork, export, import and delete."""
    router = APIRouter(prefix="/conversations")

    @router.post("")
    async def create(http: Request) -> Answer:
        body = ConversationBody.model_validate(await read_object(http))
        new = NewConversation(
            new_items(body.items or ()),
            title=body.title,
            kind="api",
            folder=body.folder,
            tags=body.tags,
            system=body.instructions,
            metadata=body.metadata or {},
        )
        return conversation_object((await asyncio.to_thread(store.add, new)).summary)

    @router.get("")
    async def list_conversations(
        query: str = "",
        folder: str | None = None,
        tag: str | None = None,
        kind: Kind | None = None,
        archived: bool = False,
        limit: int = Query(20, ge=1, le=100),
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
    ) -> Answer:
        is_asc = order == "asc"
        wanted = Wanted(query, folder, tag, kind, archived, limit, after, is_asc)
        page = await asyncio.to_thread(store.list, wanted)
        return list_body([conversation_object(each) for each in page.conversations], page.has_more)

    _add_files(router, store)
    _add_one(router, store)
    _add_items(router, store)
    return router


def _add_files(router: APIRouter, store: Conversations) -> None:
    @router.get("/export")
    async def export_conversations(
        ids: Annotated[list[str] | None, Query(alias="id")] = None,
        form: Annotated[ExportFormat, Query(alias="format")] = "json",
        query: str = "",
        folder: str | None = None,
        tag: str | None = None,
        kind: Kind | None = None,
        archived: bool | None = None,
    ) -> Response:
        wanted = Wanted(query, folder, tag, kind, archived)

        def write() -> Response:
            chosen = map(store.find, ids) if ids else every(store, wanted)
            file = export(list(chosen), form)
            headers = {
                "Content-Disposition": f'attachment; filename="{file.name}"',
                "X-Conversations": str(file.count),
            }
            return Response(file.text, media_type=file.media_type, headers=headers)

        return await asyncio.to_thread(write)

    @router.post("/import")
    async def import_conversations(file: Annotated[UploadFile, File()]) -> Answer:
        data = await file.read()
        imported = await asyncio.to_thread(read_conversations, data)
        added = await asyncio.to_thread(store.add_all, imported.conversations)
        return {
            "object": "conversations.import",
            "source": imported.source,
            "imported": added,
            "known": len(imported.conversations) - added,
            "problems": list(imported.problems),
        }

    @router.get("/folders")
    async def folders() -> Answer:
        counts = await asyncio.to_thread(store.folders)
        return {"object": "list", "data": [{"name": n, "count": c} for n, c in counts.items()]}

    @router.get("/tags")
    async def tags() -> Answer:
        counts = await asyncio.to_thread(store.tags)
        return {"object": "list", "data": [{"name": n, "count": c} for n, c in counts.items()]}


def _add_one(router: APIRouter, store: Conversations) -> None:
    @router.get("/{conversation_id}")
    async def retrieve(conversation_id: str) -> Answer:
        found = await asyncio.to_thread(store.find, conversation_id)
        return conversation_object(found.summary) | {"head": found.head_id}

    @router.post("/{conversation_id}")
    async def change(conversation_id: str, http: Request) -> Answer:
        body = ChangeBody.model_validate(await read_object(http))

        def write() -> Answer:
            return conversation_object(
                store.change(
                    conversation_id,
                    title=body.title,
                    folder=body.folder,
                    tags=body.tags,
                    archived=body.archived,
                    metadata=body.metadata,
                    head_id=body.head,
                )
            )

        return await asyncio.to_thread(write)

    @router.delete("/{conversation_id}")
    async def delete(conversation_id: str) -> Answer:
        await asyncio.to_thread(store.delete, conversation_id)
        return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}

    @router.post("/{conversation_id}/fork")
    async def fork(conversation_id: str, http: Request) -> Answer:
        body = ForkBody.model_validate(await read_object(http))
        made = await asyncio.to_thread(store.fork, conversation_id, body.item_id)
        return conversation_object(made.summary)

    @router.get("/{conversation_id}/branches")
    async def branches(conversation_id: str) -> Answer:
        found = await asyncio.to_thread(store.find, conversation_id)
        return {"object": "list", "data": [branch_object(found, leaf) for leaf in found.leaves()]}


def _add_items(router: APIRouter, store: Conversations) -> None:
    items = "/{conversation_id}/items"

    @router.post(items)
    async def create_items(conversation_id: str, http: Request) -> Answer:
        body = ItemsBody.model_validate(await read_object(http))
        added = await asyncio.to_thread(store.append, conversation_id, new_items(body.items))
        return list_body([each.to_openai() for each in added], has_more=False)

    @router.get(items)
    async def list_items(
        conversation_id: str,
        limit: int = Query(20, ge=1, le=100),
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
        branch: str | None = None,
    ) -> Answer:
        found = await asyncio.to_thread(store.find, conversation_id)
        path = found.path(found.item(branch).id if branch else None)
        ordered = path if order == "asc" else path[::-1]
        page, more = page_of(ordered, lambda item: item.id, limit, after)
        body = list_body([each.to_openai() for each in page], more)
        # OpenAI's clients go on from ``last_id`` and take no null for it.
        return body | {"first_id": body["first_id"] or "", "last_id": body["last_id"] or ""}

    @router.get(f"{items}/{{item_id}}")
    async def retrieve_item(conversation_id: str, item_id: str) -> Item:
        return (await asyncio.to_thread(store.find, conversation_id)).item(item_id).to_openai()

    @router.delete(f"{items}/{{item_id}}")
    async def delete_item(conversation_id: str, item_id: str) -> Answer:
        return conversation_object(
            await asyncio.to_thread(store.remove_item, conversation_id, item_id)
        )
