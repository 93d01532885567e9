"""``/v1/sweeps``: prompts × models × settings over rows; our own endpoint.

The body is a sweep, an eval of OpenAI's with its run, or promptfoo's configuration; ``rows`` may be
the id of an uploaded file.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body, Query
from starlette.responses import FileResponse, JSONResponse, Response

from playground.api.paging import list_body, page_of
from playground.errors import InvalidRequest
from playground.jobs import JobSnapshot, JobSummary
from playground.lab.sweeps.result import comparison_json, rows_text
from playground.lab.sweeps.rows import Located, rows_of_file
from playground.lab.sweeps.sweeps import Sweeps
from playground.protocol.json_types import Json
from playground.store.uploads import ID, Uploads

STATUS = {
    "queued": "queued", "running": "in_progress", "paused": "queued", "stopped": "canceled",
    "failed": "failed", "done": "completed",
}  # fmt: skip
"""Statuses of OpenAI's eval runs, by state."""


def sweeps_router(sweeps: Sweeps, uploads: Uploads) -> APIRouter:
    """Create, list, retrieve, read results, compare, stop, resume, delete."""
    router = APIRouter(prefix="/sweeps")

    def read_rows(name: str) -> list[Located]:
        if not ID.fullmatch(name):
            raise InvalidRequest("rows", f"{name!r}: must be a list of objects, or a file's id")
        return rows_of_file(uploads.find(name).path)

    @router.post("")
    async def create(body: Annotated[dict[str, object], Body()]) -> dict[str, object]:
        given: dict[str, Json] = body  # type: ignore[assignment]  # JSON came in
        sweep = await asyncio.to_thread(sweeps.read, given, read_rows)
        return sweep_body(await sweeps.start(sweep))

    @router.get("")
    async def list_sweeps(
        limit: Annotated[int, Query(ge=1, le=1000)] = 20, after: str | None = None
    ) -> dict[str, object]:
        all_sweeps = await asyncio.to_thread(sweeps.list)
        page, more = page_of(all_sweeps, lambda sweep: sweep.id, limit, after)
        return list_body([sweep_body(sweep) for sweep in page], more)

    @router.get("/{sweep_id}")
    async def retrieve(sweep_id: str) -> dict[str, object]:
        return sweep_body(await asyncio.to_thread(sweeps.snapshot, sweep_id))

    @router.get("/{sweep_id}/results")
    async def results(sweep_id: str) -> Response:
        path = await asyncio.to_thread(sweeps.result_file, sweep_id)
        if path:
            return FileResponse(path, media_type="application/json")
        return JSONResponse(await asyncio.to_thread(lambda: sweeps.result(sweep_id).as_json()))

    @router.get("/{sweep_id}/comparison")
    async def comparison(sweep_id: str, first: int, second: int) -> dict[str, object]:
        def compared() -> dict[str, object]:
            return dict(comparison_json(sweeps.result(sweep_id).compare(first, second)))

        return {"cells": [first, second]} | await asyncio.to_thread(compared)

    @router.get("/{sweep_id}/training_rows")
    async def training_rows(
        sweep_id: str, cell: int = 0, most: Annotated[int, Query(ge=1, le=10_000)] = 20
    ) -> Response:
        def made() -> str:
            return rows_text(sweeps.result(sweep_id).training_rows(cell, most)[0])

        return Response(await asyncio.to_thread(made), media_type="application/jsonl")

    @router.post("/{sweep_id}/cancel")
    async def cancel(sweep_id: str) -> dict[str, object]:
        await asyncio.to_thread(sweeps.stop, sweep_id)
        return sweep_body(sweeps.snapshot(sweep_id))

    @router.post("/{sweep_id}/resume")
    async def resume(sweep_id: str) -> dict[str, object]:
        await asyncio.to_thread(sweeps.resume, sweep_id)
        return sweep_body(sweeps.snapshot(sweep_id))

    @router.delete("/{sweep_id}")
    async def delete(sweep_id: str) -> dict[str, object]:
        await asyncio.to_thread(sweeps.delete, sweep_id)
        return {"id": sweep_id, "object": "sweep", "deleted": True}

    return router


def sweep_body(sweep: JobSummary) -> dict[str, object]:
    """A sweep as a client sees it."""
    body: dict[str, object] = {
        "id": sweep.id,
        "object": "sweep",
        "name": sweep.name,
        "status": STATUS[sweep.state],
        "error": sweep.message or None,
        "created_at": int(sweep.created_s),
        "result_counts": {"done": sweep.progress.done, "total": sweep.progress.total},
    }
    if isinstance(sweep, JobSnapshot):
        body |= {name: sweep.input.get(name) for name in ("prompts", "models", "rows", "cells")}
        body["rows"] = body["rows"] or sweep.result.get("rows")  # of tasks, once they are loaded
        body["seconds_left"] = sweep.seconds_left
    return body
