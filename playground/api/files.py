"""``/v1/files`` as OpenAI and Together have it: rows that fine-tuning jobs train on, and their
report cards.

OpenAI's clients send the file in their form. Together's announce it by a form without one, are
redirected (302, ``Location``, ``X-Together-File-Id``), PUT the bytes there and POST ``preprocess``.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Query, UploadFile
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from playground.api.errors import Refused
from playground.api.paging import list_body, page_of
from playground.api.root import base_url
from playground.errors import InvalidRequest
from playground.store.uploads import Upload, Uploads

PURPOSES = ("fine-tune", "batch", "batch-api", "user_data", "evals", "eval")
"""OpenAI's and Together's that are taken; what a file is used for, its user decides."""
MIN_EXPIRES_S, MAX_EXPIRES_S = 3600, 2_592_000
CHUNK = 2**20
SAMPLE_TYPES = MappingProxyType(
    {"batch": "batch_request", "batch-api": "batch_request", "batch_output": "batch_result"}
)
"""Mistral's, by purpose."""
FILE_TYPES = ("jsonl", "csv", "parquet")
"""Together's."""


def files_router(uploads: Uploads) -> APIRouter:
    """Upload, announce, list, read and delete."""
    router = APIRouter()

    @router.post("/files")
    async def upload(
        http: Request,
        purpose: Annotated[str, Form()],
        file: Annotated[UploadFile | None, File()] = None,
        file_name: Annotated[str | None, Form(max_length=1024)] = None,
        checksum: Annotated[str, Form(max_length=64)] = "",
    ) -> Response:
        check_purpose(purpose)
        expires_s = _expires_s(await http.form())
        if file is not None:
            name, chunks = file.filename or "", _chunks(file)
            return JSONResponse(file_body(await uploads.save(name, purpose, chunks, expires_s)))
        if file_name is None:
            problem = "file: this field is required, or file_name to announce a file"
            raise Refused(400, "missing_required_parameter", problem, "file")
        file_id, token = await asyncio.to_thread(uploads.announce, file_name, purpose, checksum)
        target = f"{base_url(http.scope)}{http.url.path}/{file_id}/bytes?token={token}"
        headers = {"Location": target, "X-Together-File-Id": file_id}
        return Response(status_code=302, headers=headers)

    @router.post("/files/{file_id}/preprocess")
    async def preprocess(file_id: str) -> dict[str, object]:
        return file_body(uploads.find(file_id))

    @router.get("/files")
    async def list_files(
        limit: int = Query(10_000, ge=1, le=10_000),
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
        purpose: str | None = None,
        page_number: int = Query(0, ge=0, le=10**9, alias="page"),  # Mistral's
        page_size: int | None = Query(None, ge=1, le=10_000),
    ) -> dict[str, object]:
        files = await asyncio.to_thread(uploads.all)
        wanted = [file for file in files if purpose in (None, file.purpose)]
        ordered = wanted[::-1] if order == "asc" else wanted
        if page_size is not None:
            ordered = ordered[page_number * page_size :]
            limit = page_size
        page, more = page_of(ordered, lambda file: file.id, limit, after)
        return list_body([file_body(file) for file in page], more) | {"total": len(wanted)}

    @router.get("/files/{file_id}")
    async def retrieve(file_id: str) -> dict[str, object]:
        return file_body(uploads.find(file_id)) | {"deleted": False}  # Mistral's client requires it

    @router.get("/files/{file_id}/content")
    async def content(file_id: str) -> FileResponse:
        file = uploads.find(file_id)
        return FileResponse(file.path, media_type="application/octet-stream", filename=file.name)

    @router.delete("/files/{file_id}")
    async def delete(file_id: str) -> dict[str, object]:
        uploads.delete(file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    return router


def announced_files_router(uploads: Uploads) -> APIRouter:
    """Take the bytes of announced files. Together's client sends no key with them, so the token in
    the address stands for it."""
    router = APIRouter()

    @router.put("/files/{file_id}/bytes")
    async def receive(http: Request, file_id: str, token: str) -> dict[str, object]:
        return file_body(await uploads.receive(file_id, token, http.stream()))

    return router


def file_body(upload: Upload) -> dict[str, object]:
    """OpenAI's file object, with Together's fields and Mistral's."""
    ending = Path(upload.name).suffix.removeprefix(".").lower()
    return {
        "id": upload.id,
        "object": "file",
        "bytes": upload.size,
        "created_at": upload.created,
        "expires_at": upload.expires,
        "filename": upload.name,
        "purpose": upload.purpose,
        "status": "processed",
        "FileType": ending if ending in FILE_TYPES else "jsonl",
        "processing_status": "COMPLETED",
        "sample_type": SAMPLE_TYPES.get(upload.purpose, "instruct"),
        "source": "upload",
    }


def check_purpose(purpose: str) -> None:
    """Raises `InvalidRequest` for one that nothing here does."""
    if purpose not in PURPOSES:
        known = ", ".join(PURPOSES)
        raise InvalidRequest("purpose", f"{purpose!r} is not supported here; {known} are")


def _expires_s(form: FormData) -> int | None:
    """After how many seconds a file expires, as the form's fields of ``expires_after`` say."""
    given = {key: value for key, value in form.items() if key.startswith("expires_after")}
    if not given:
        return None
    anchor, seconds = given.get("expires_after[anchor]"), given.get("expires_after[seconds]")
    if anchor != "created_at":
        raise InvalidRequest("expires_after[anchor]", "must be created_at")
    number = int(seconds) if isinstance(seconds, str) and seconds.isdecimal() else 0
    if not MIN_EXPIRES_S <= number <= MAX_EXPIRES_S:
        problem = f"{seconds!r} is not between {MIN_EXPIRES_S} and {MAX_EXPIRES_S}"
        raise InvalidRequest("expires_after[seconds]", problem)
    return number


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK):
        yield chunk
