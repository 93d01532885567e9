"""``/v1/adapters``: the adapters in the store, version by version, and ``/v1/exports``: what was
written of them for other programs. Our own, as nobody else has one.

What is done here is done at once to what is served, as on the page.
"""

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse

from playground.api.paging import list_body
from playground.models.export.request import GgufType, Target
from playground.store.adapters import Version
from playground.studio.archives import tar_chunks
from playground.studio.exports import delete_export, find_export
from playground.studio.studio import Studio


class PromoteBody(BaseModel):
    """Which version a name shall stand for."""

    model_config = ConfigDict(extra="forbid")
    version: str


class ExportBody(BaseModel):
    """For which program a version is written, and the type of the matrices of GGUF files."""

    model_config = ConfigDict(extra="forbid")
    to: Target
    type: GgufType = "f16"


def adapter_store_router(studio: Studio) -> APIRouter:
    """List, promote, roll back, retire, delete, export."""
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

    @router.post("/{name}/{version}/export")
    async def export(name: str, version: str, body: ExportBody) -> dict[str, object]:
        exported = await asyncio.to_thread(studio.export, name, version, body.to, body.type)
        return {
            "id": exported.folder.name,
            "object": "adapter.export",
            "folder": str(exported.folder),
            "files": [str(file.relative_to(exported.folder)) for file in exported.files],
            "bytes": exported.size,
            "command": exported.command,
            "notes": list(exported.notes),
            "url": f"/v1/exports/{exported.folder.name}",
        }

    return router


def exports_router(studio: Studio) -> APIRouter:
    """Download and remove what was exported."""
    router = APIRouter(prefix="/exports")

    @router.get("/{export_id}")
    async def download(export_id: str) -> StreamingResponse:
        folder = await asyncio.to_thread(find_export, studio.home, export_id)
        headers = {"Content-Disposition": f'attachment; filename="{export_id}.tar"'}
        return StreamingResponse(
            tar_chunks(folder), media_type="application/x-tar", headers=headers
        )

    @router.delete("/{export_id}")
    async def delete(export_id: str) -> dict[str, object]:
        await asyncio.to_thread(delete_export, studio.home, export_id)
        return {"id": export_id, "object": "adapter.export", "deleted": True}

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
