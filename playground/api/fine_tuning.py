"""``/v1/fine_tuning/jobs`` as OpenAI has it, over the same training jobs that the page shows.

A job that is created here publishes its adapter when it is done, and promotes it if its report card
says so; the model is then named ``BASE:SUFFIX``, otherwise ``BASE:SUFFIX.v1`` by its version.
Versions and checkpoints are served once a request names one.
"""

import asyncio
from typing import Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from playground.api.fine_tuning_body import JobBody, recipe_of
from playground.api.fine_tuning_objects import (
    METADATA,
    MULTIPLIER,
    TRAINING_FILE,
    VALIDATION_FILE,
    checkpoint_bodies,
    event_bodies,
    job_body,
)
from playground.api.paging import list_body, page_of
from playground.api.translate import model_info
from playground.errors import InvalidRequest, UnknownFile
from playground.protocol import Backend
from playground.store.uploads import Upload, Uploads
from playground.studio.kinds.train import TrainingSnapshot
from playground.studio.studio import Studio
from playground.studio.training import recipe_for

DEFAULT_NAME = "adapter"


def fine_tuning_router(backend: Backend, studio: Studio, uploads: Uploads) -> APIRouter:
    """Create, list, retrieve, cancel, pause, resume; events and checkpoints."""
    router = APIRouter(prefix="/fine_tuning/jobs")

    async def job_of(job_id: str) -> TrainingSnapshot:
        return await asyncio.to_thread(studio.training_job, job_id)

    async def body_of(job: TrainingSnapshot) -> dict[str, object]:
        return await asyncio.to_thread(job_body, job, studio)

    @router.post("")
    async def create(body: JobBody) -> dict[str, object]:
        info = await model_info(body.model, backend)
        if info.adapter:
            raise InvalidRequest("model", f"{body.model} is an adapter; train on its base")
        return await body_of(await asyncio.to_thread(_create_job, body, studio, uploads))

    @router.get("")
    async def list_jobs(
        http: Request, limit: int = Query(20, ge=1, le=1000), after: str | None = None
    ) -> dict[str, object]:
        wanted = _wanted_metadata(http)
        summaries = await asyncio.to_thread(studio.training_jobs)
        if wanted is not None:
            jobs = [await job_of(job.id) for job in summaries]
            summaries = tuple(job for job in jobs if _has(job, wanted))
        page, more = page_of(summaries, lambda job: job.id, limit, after)
        return list_body([await body_of(await job_of(job.id)) for job in page], more)

    @router.get("/{job_id}")
    async def retrieve(job_id: str) -> dict[str, object]:
        return await body_of(await job_of(job_id))

    @router.post("/{job_id}/{action}")
    async def act(job_id: str, action: Literal["cancel", "pause", "resume"]) -> dict[str, object]:
        actions = {
            "cancel": studio.jobs.stop, "pause": studio.jobs.pause, "resume": studio.jobs.resume,
        }  # fmt: skip
        await job_of(job_id)
        await asyncio.to_thread(actions[action], job_id)
        return await body_of(await job_of(job_id))

    @router.get("/{job_id}/events")
    async def list_events(
        job_id: str, limit: int = Query(20, ge=1, le=1000), after: str | None = None
    ) -> dict[str, object]:
        events = event_bodies(await job_of(job_id))
        return list_body(*page_of(events, lambda event: event["id"], limit, after))

    @router.get("/{job_id}/checkpoints")
    async def list_checkpoints(
        job_id: str, limit: int = Query(10, ge=1, le=1000), after: str | None = None
    ) -> dict[str, object]:
        bodies = checkpoint_bodies(await job_of(job_id), studio)
        return list_body(*page_of(bodies, lambda checkpoint: checkpoint["id"], limit, after))

    return router


def _create_job(body: JobBody, studio: Studio, uploads: Uploads) -> TrainingSnapshot:
    files = named_file("training_file", body.training_file, uploads)
    validation = None
    if body.validation_file:
        validation = named_file("validation_file", body.validation_file, uploads)
    multiplier = body.chosen()[1].learning_rate_multiplier
    asked: dict[str, object] = {
        TRAINING_FILE: files.id,
        VALIDATION_FILE: validation.id if validation else None,
        METADATA: body.metadata,
        MULTIPLIER: None if multiplier == "auto" else multiplier,
    }
    return studio.train(
        body.suffix or DEFAULT_NAME,
        recipe_of(body, studio.for_base(recipe_for(studio.base))),
        [files.path],
        validation.path if validation else None,
        publishes=True,
        request=asked,
        columns=body.columns,
    )


def named_file(field: str, file_id: str, uploads: Uploads) -> Upload:
    """Return an upload. Raises `UnknownFile`, naming the field of the body that has its id."""
    try:
        return uploads.find(file_id)
    except UnknownFile as error:
        error.field = field
        raise


def _wanted_metadata(http: Request) -> dict[str, str] | None:
    """Return the pairs of ``metadata[KEY]=VALUE``; none of them for ``metadata=null``, which asks
    for jobs without any; None if the request does not ask."""
    query = http.query_params
    pairs = {
        key.removeprefix("metadata[").removesuffix("]"): value
        for key, value in query.items()
        if key.startswith("metadata[") and key.endswith("]")
    }
    return {} if query.get("metadata") == "null" else pairs or None


def _has(job: TrainingSnapshot, wanted: dict[str, str]) -> bool:
    metadata = job.input.get(METADATA) or {}
    if not isinstance(metadata, dict) or not wanted:
        return not metadata
    return all(metadata.get(key) == value for key, value in wanted.items())
