"""``/v1/uploads``, as OpenAI has it: a file in parts."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, File, UploadFile
from pydantic import Field

from playground.api.files import check_purpose, file_body
from playground.api.schemas import Body, ExpiresBody
from playground.store.part_uploads import PartUpload, PartUploads
from playground.store.uploads import Upload


class UploadBody(Body):
    """``POST /v1/uploads``. The MIME type is not looked at: what a file is, its user finds out."""

    filename: str = Field(min_length=1, max_length=1024)
    purpose: str
    bytes: int
    mime_type: str
    expires_after: ExpiresBody | None = None


class CompleteBody(Body):
    """``POST /v1/uploads/{upload_id}/complete``."""

    part_ids: list[str] = Field(min_length=1, max_length=10_000)
    md5: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{32}$")


def uploads_router(uploads: PartUploads) -> APIRouter:
    """Create, add parts, complete, cancel."""
    router = APIRouter(prefix="/uploads")

    @router.post("")
    async def create(body: UploadBody) -> dict[str, object]:
        check_purpose(body.purpose)
        expires_s = body.expires_after.seconds if body.expires_after else None
        made = await asyncio.to_thread(
            uploads.create, body.filename, body.purpose, body.bytes, expires_s
        )
        return upload_body(made)

    @router.post("/{upload_id}/parts")
    async def add_part(upload_id: str, data: Annotated[UploadFile, File()]) -> dict[str, object]:
        content = await data.read()
        part_id = await asyncio.to_thread(uploads.add_part, upload_id, content)
        created = uploads.find(upload_id).created
        return {
            "id": part_id, "object": "upload.part", "created_at": created, "upload_id": upload_id,
        }  # fmt: skip

    @router.post("/{upload_id}/complete")
    async def complete(upload_id: str, body: CompleteBody) -> dict[str, object]:
        done, file = await uploads.complete(upload_id, body.part_ids, body.md5 or "")
        return upload_body(done, file)

    @router.post("/{upload_id}/cancel")
    async def cancel(upload_id: str) -> dict[str, object]:
        return upload_body(await asyncio.to_thread(uploads.cancel, upload_id))

    return router


def upload_body(upload: PartUpload, file: Upload | None = None) -> dict[str, object]:
    """OpenAI's upload object."""
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.size,
        "created_at": upload.created,
        "expires_at": upload.expires,
        "filename": upload.name,
        "purpose": upload.purpose,
        "status": upload.status,
        "file": file_body(file) if file else None,
    }
