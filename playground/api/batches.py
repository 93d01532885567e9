"""``/v1/batches``, as OpenAI and Together have it: many requests in a file, answered in its time.

Together's client reads its own statuses and a bare list; it is known by its ``User-Agent``.
"""

import asyncio

from fastapi import APIRouter, Query
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from playground.api.errors import Refused
from playground.api.paging import list_body, page_of
from playground.api.schemas import Body, ExpiresBody, Labels
from playground.api.together_client import is_together
from playground.errors import InvalidRequest, UnknownFile
from playground.lab.batches import Batches, parse_window
from playground.store.batches import Batch, NewBatch

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings")
DEFAULT_WINDOW = "24h"
TIMES = (
    "in_progress", "completed", "failed", "expired", "cancelling", "cancelled",
)  # fmt: skip


class BatchBody(Body):
    """``POST /v1/batches``. ``model_id`` is Together's: the model of requests that name none.
    ``priority``, also Together's, is ignored: every batch waits behind all other requests."""

    model_config = ConfigDict(protected_namespaces=())
    input_file_id: str
    endpoint: str
    completion_window: str | None = None
    metadata: Labels = None
    output_expires_after: ExpiresBody | None = None
    model_id: str | None = None
    priority: int | None = None


def batches_router(batches: Batches) -> APIRouter:
    """Create, list, retrieve, cancel."""
    router = APIRouter(prefix="/batches")

    @router.post("")
    async def create(http: Request, body: BatchBody) -> Response:
        batch = await asyncio.to_thread(_create, body, batches)
        if is_together(http):
            return JSONResponse({"job": together_batch(batch), "warning": ""})
        return JSONResponse(openai_batch(batch))

    @router.get("")
    async def list_batches(
        http: Request, limit: int = Query(20, ge=1, le=100), after: str | None = None
    ) -> Response:
        found = await asyncio.to_thread(batches.all)
        if is_together(http):
            return JSONResponse([together_batch(batch) for batch in found])
        page, more = page_of(found, lambda batch: batch.id, limit, after)
        return JSONResponse(list_body([openai_batch(batch) for batch in page], more))

    @router.get("/{batch_id}")
    async def retrieve(http: Request, batch_id: str) -> Response:
        return _shown(http, await asyncio.to_thread(batches.find, batch_id))

    @router.post("/{batch_id}/cancel")
    async def cancel(http: Request, batch_id: str) -> Response:
        return _shown(http, await asyncio.to_thread(batches.cancel, batch_id))

    return router


def openai_batch(batch: Batch) -> dict[str, object]:
    """OpenAI's batch object."""
    usage = batch.usage
    read, written = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.request.endpoint,
        "model": batch.request.model or None,
        "errors": {"object": "list", "data": list(batch.problems)} if batch.problems else None,
        "input_file_id": batch.request.input_file_id,
        "completion_window": batch.request.window,
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": batch.created,
        "expires_at": batch.expires,
        "finalizing_at": None,
        **{f"{name}_at": batch.times.get(name) for name in TIMES},
        "request_counts": {
            "total": batch.total, "completed": batch.completed, "failed": batch.failed,
        },
        "metadata": dict(batch.request.labels) or None,
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
    }  # fmt: skip


def together_batch(batch: Batch) -> dict[str, object]:
    """Together's batch job; the progress is in percent."""
    answered = batch.completed + batch.failed
    status = "IN_PROGRESS" if batch.status == "cancelling" else batch.status.upper()
    problem = batch.problems[0]["message"] if batch.problems else None
    return {
        "id": batch.id,
        "user_id": "",
        "input_file_id": batch.request.input_file_id,
        "file_size_bytes": 0,
        "status": status,
        "job_deadline": batch.expires,
        "created_at": batch.created,
        "endpoint": batch.request.endpoint,
        "progress": 100 * answered / batch.total if batch.total else 0.0,
        "model_id": batch.request.model or None,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "error": problem,
        "completed_at": batch.times.get("completed"),
    }


def _create(body: BatchBody, batches: Batches) -> Batch:
    if body.endpoint not in ENDPOINTS:
        problem = f"{body.endpoint!r} has no batches here; {', '.join(ENDPOINTS)} have"
        raise InvalidRequest("endpoint", problem)
    window = body.completion_window or DEFAULT_WINDOW
    expires = body.output_expires_after
    new = NewBatch(
        body.endpoint,
        body.input_file_id,
        window,
        parse_window(window),
        body.metadata or {},
        body.model_id or "",
        expires.seconds if expires else None,
    )
    try:
        return batches.create(new)
    except UnknownFile as error:
        raise Refused(404, error.code, error.message, "input_file_id") from None


def _shown(http: Request, batch: Batch) -> Response:
    shape = together_batch if is_together(http) else openai_batch
    return JSONResponse(shape(batch))
