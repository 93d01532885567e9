"""``/v1/adapters``: the adapters in the store, version by version; our own, as nobody else has one.

What is done here is done at once to what is served, as on the page.
"""

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from playground.api.paging import list_body
from playground.store.adapters import Version
from playground.studio.studio import Studio


class PromoteBody(BaseModel):
    """Which version a name shall stand for."""

    model_config = ConfigDict(extra="forbid")
    version: str


def adapter_store_router(studio: Studio) -> APIRouter:
    """List, promote, roll back, retire, delete."""
    router = APIRouter(prefix="/adapters")

    async def adapter_of(name: str) -> dict[str, object]:
        versions = await asyncio.to_thread(studio.store.versions, name)
        return _adapter_body(versions, studio)

    @router.get("")
    async def list_adapters() -> dict[str, object]:
        names = await asyncio.to_thread(studio.store.names)
        return list_body([await adapter_of(name) for name in names], has_more=False)

    @router.get("/{name}")
    async def retrieve(name: str) -> dict[str, object]:
        return await adapter_of(name)

    @router.post("/{name}/promote")
    async def promote(name: str, body: PromoteBody) -> dict[str, object]:
        await asyncio.to_thread(studio.promote, name, body.version)
        return await adapter_of(name)

    @router.post("/{name}/rollback")
    async def roll_back(name: str) -> dict[str, object]:
        await asyncio.to_thread(studio.roll_back, name)
        return await adapter_of(name)

    @router.post("/{name}/retire")
    async def retire(name: str) -> dict[str, object]:
        await asyncio.to_thread(studio.retire, name)
        return await adapter_of(name)

    @router.delete("/{name}/{version}")
    async def delete(name: str, version: str) -> dict[str, object]:
        await asyncio.to_thread(studio.delete, name, version)
        return {"id": f"{name}/{version}", "object": "adapter.version", "deleted": True}

    return router


def _adapter_body(versions: list[Version], studio: Studio) -> dict[str, object]:
    name = versions[0].name
    promoted = next((version.version for version in versions if version.promoted), None)
    return {
        "id": name,
        "object": "adapter",
        "model": f"{studio.base_model}:{name}" if promoted else None,
        "promoted": promoted,
        "versions": [_version_body(version, studio) for version in versions],
    }


def _version_body(version: Version, studio: Studio) -> dict[str, object]:
    return {
        "id": f"{version.name}/{version.version}",
        "object": "adapter.version",
        "version": version.version,
        "model": studio.version_model(version),
        "promoted": version.promoted,
        "content_hash": version.content_hash,
        "verdict": version.verdict or None,
        "base": version.card.get("base"),
        "date": version.card.get("date"),
    }
