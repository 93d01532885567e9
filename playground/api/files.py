"""``/v1/files`` as OpenAI has it: rows that fine-tuning jobs train on, and their report cards."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Query, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse

from playground.api.paging import list_body, page_of
from playground.errors import InvalidRequest
from playground.store.uploads import Upload, Uploads

PURPOSE = "fine-tune"
CHUNK = 2**20


def files_router(uploads: Uploads) -> APIRouter:
    """Upload, list, read and delete."""
    router = APIRouter()

    @router.post("/files")
    async def upload(
        http: Request, file: Annotated[UploadFile, File()], purpose: Annotated[str, Form()]
    ) -> dict[str, object]:
        expires = next((key for key in await http.form() if key.startswith("expires_after")), None)
        if expires:
            raise InvalidRequest(expires, "files here do not expire; leave it out")
        if purpose != PURPOSE:
            raise InvalidRequest("purpose", f"{purpose!r} is not supported here; {PURPOSE} is")
        return file_body(await uploads.save(file.filename or "", purpose, _chunks(file)))

    @router.get("/files")
    async def list_files(
        limit: int = Query(10_000, ge=1, le=10_000),
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
        purpose: str | None = None,
    ) -> dict[str, object]:
        files = await asyncio.to_thread(uploads.all)
        wanted = [file for file in files if purpose in (None, file.purpose)]
        ordered = wanted[::-1] if order == "asc" else wanted
        page, more = page_of(ordered, lambda file: file.id, limit, after)
        return list_body([file_body(file) for file in page], more)

    @router.get("/files/{file_id}")
    async def retrieve(file_id: str) -> dict[str, object]:
        return file_body(uploads.find(file_id))

    @router.get("/files/{file_id}/content")
    async def content(file_id: str) -> FileResponse:
        file = uploads.find(file_id)
        return FileResponse(file.path, media_type="application/octet-stream", filename=file.name)

    @router.delete("/files/{file_id}")
    async def delete(file_id: str) -> dict[str, object]:
        uploads.delete(file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    return router


def file_body(upload: Upload) -> dict[str, object]:
    """OpenAI's file object."""
    return {
        "id": upload.id,
        "object": "file",
        "bytes": upload.size,
        "created_at": upload.created,
        "filename": upload.name,
        "purpose": upload.purpose,
        "status": "processed",
    }


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK):
        yield chunk
