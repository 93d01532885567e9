"""``/v1/files`` as OpenAI has it: rows that fine-tuning jobs are made of."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from starlette.responses import FileResponse

from playground.errors import InvalidRequest
from playground.store.uploads import Upload, Uploads

PURPOSE = "fine-tune"
CHUNK = 2**20


def files_router(uploads: Uploads) -> APIRouter:
    """Upload, list, read and delete."""
    router = APIRouter()

    @router.post("/files")
    async def upload(
        file: Annotated[UploadFile, File()], purpose: Annotated[str, Form()]
    ) -> dict[str, Any]:
        if purpose != PURPOSE:
            raise InvalidRequest("purpose", f"{purpose!r} is not taken here; {PURPOSE} is")
        return file_body(await uploads.save(file.filename or "", purpose, _chunks(file)))

    @router.get("/files")
    async def list_files() -> dict[str, Any]:
        data = [file_body(each) for each in uploads.all()]
        return {"object": "list", "data": data, "has_more": False}

    @router.get("/files/{own}")
    async def retrieve(own: str) -> dict[str, Any]:
        return file_body(uploads.find(own))

    @router.get("/files/{own}/content")
    async def content(own: str) -> FileResponse:
        found = uploads.find(own)
        return FileResponse(found.path, media_type="application/octet-stream", filename=found.name)

    @router.delete("/files/{own}")
    async def delete(own: str) -> dict[str, Any]:
        uploads.delete(own)
        return {"id": own, "object": "file", "deleted": True}

    return router


def file_body(upload: Upload) -> dict[str, Any]:
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
