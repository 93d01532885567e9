"""``/v1/fine-tunes`` and ``/v1/finetune/download`` as Together has them, over the same training
jobs that the page and OpenAI's ``/v1/fine_tuning/jobs`` show.

Training costs nothing here, and the estimate of its price says so.
"""

import asyncio
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import FileResponse

from playground.api.connection import read_object
from playground.api.errors import Refused
from playground.api.fine_tuning import DEFAULT_NAME, named_file
from playground.api.fine_tuning_objects import TRAINING_FILE, VALIDATION_FILE
from playground.api.openapi import json_body
from playground.api.together_client import is_together_1
from playground.api.together_tuning_body import (
    UNSUPPORTED,
    EstimateBody,
    FineTuneBody,
    tuning_recipe,
)
from playground.api.together_tuning_objects import (
    FROM_CHECKPOINT,
    in_capitals,
    limits_body,
    tuning_body,
    tuning_checkpoints,
    tuning_events,
    tuning_metrics,
)
from playground.api.translate import model_info
from playground.errors import InvalidRequest, UnknownModel
from playground.models.export.request import Target
from playground.protocol import Backend
from playground.store.uploads import Uploads
from playground.studio.archives import archive_of
from playground.studio.kinds.train import N_CHECKPOINTS, N_EVALS, TrainingSnapshot
from playground.studio.starting_points import starting_point
from playground.studio.studio import Studio
from playground.studio.training import recipe_for

ALL_STEPS = (0, 2**62)
BYTES_PER_TOKEN = 4
"""Of English text, roughly; what an estimate counts by."""
TARGETS: dict[str, Target] = {"adapter": "peft", "merged": "merged", "model_output_path": "merged"}


def together_tuning_router(backend: Backend, studio: Studio, uploads: Uploads) -> APIRouter:
    """Create, list, retrieve, cancel, delete; events, checkpoints and metrics; limits and price."""
    router = APIRouter(prefix="/fine-tunes")
    router.include_router(_progress_router(studio))

    async def job_of(job_id: str) -> TrainingSnapshot:
        return await asyncio.to_thread(studio.training_job, job_id)

    async def body_of(job: TrainingSnapshot, http: Request | None = None) -> dict[str, object]:
        """The job; without its events in a list, for which there is no ``http``."""
        body = await asyncio.to_thread(tuning_body, job, studio)
        return body | {"events": _events(job, http)} if http else body

    @router.get("/models/limits")
    async def limits(model_name: str) -> dict[str, object]:
        await _check_base(model_name, backend, studio)
        recipe = await asyncio.to_thread(recipe_for, studio.base)
        return limits_body(model_name, recipe, studio.target_modules)

    @router.post("/estimate-price", openapi_extra=json_body(EstimateBody))
    async def estimate_price(http: Request) -> dict[str, object]:
        body = EstimateBody.model_validate(await read_object(http))
        trained, evaluated = await asyncio.to_thread(_estimated_tokens, body, uploads)
        return {
            "estimation_available": True,
            "estimated_total_price": 0,
            "estimated_train_token_count": trained,
            "estimated_eval_token_count": evaluated,
            "user_limit": 0,
            "allowed_to_proceed": True,
        }

    @router.post("", openapi_extra=json_body(FineTuneBody, UNSUPPORTED))
    async def create(http: Request) -> dict[str, object]:
        body = FineTuneBody.model_validate(UNSUPPORTED.strip(await read_object(http)))
        if (body.model is None) == (body.from_checkpoint is None):
            raise InvalidRequest("model", "give it or from_checkpoint, one of them")
        if body.model is not None and (await model_info(body.model, backend)).adapter:
            problem = f"{body.model} is an adapter; to train it on, give it as from_checkpoint"
            raise InvalidRequest("model", problem)
        return await body_of(await asyncio.to_thread(_create_job, body, studio, uploads), http)

    @router.get("")
    async def list_jobs() -> dict[str, object]:
        summaries = await asyncio.to_thread(studio.training_jobs)
        jobs = [await job_of(job.id) for job in summaries]
        return {"data": [await body_of(job) for job in jobs]}

    @router.get("/{job_id}")
    async def retrieve(http: Request, job_id: str) -> dict[str, object]:
        return await body_of(await job_of(job_id), http)

    @router.delete("/{job_id}")
    async def delete(job_id: str) -> dict[str, object]:
        await job_of(job_id)
        await asyncio.to_thread(studio.jobs.delete, job_id)
        return {"message": f"job {job_id} is deleted; models that came of it stay"}

    @router.post("/{job_id}/cancel")
    async def cancel(http: Request, job_id: str) -> dict[str, object]:
        await job_of(job_id)
        await asyncio.to_thread(studio.jobs.stop, job_id)
        return await body_of(await job_of(job_id), http)

    return router


def _progress_router(studio: Studio) -> APIRouter:
    """Events, checkpoints and metrics of a job."""
    router = APIRouter()

    async def job_of(job_id: str) -> TrainingSnapshot:
        return await asyncio.to_thread(studio.training_job, job_id)

    @router.get("/{job_id}/events")
    async def list_events(http: Request, job_id: str) -> dict[str, object]:
        return {"data": _events(await job_of(job_id), http)}

    @router.get("/{job_id}/checkpoints")
    async def list_checkpoints(job_id: str) -> dict[str, object]:
        return {"data": tuning_checkpoints(await job_of(job_id), studio)}

    @router.get("/{job_id}/metrics")
    async def list_metrics(
        job_id: str,
        global_step_from: int = ALL_STEPS[0],
        global_step_to: int = ALL_STEPS[1],
        logged_at_from: datetime | None = None,
        logged_at_to: datetime | None = None,
        resolution: int | None = Query(None, ge=1),
    ) -> dict[str, object]:
        times_s = (
            logged_at_from.timestamp() if logged_at_from else float("-inf"),
            logged_at_to.timestamp() if logged_at_to else float("inf"),
        )
        steps = (global_step_from, global_step_to)
        return {"metrics": tuning_metrics(await job_of(job_id), steps, times_s, resolution)}

    return router


def _events(job: TrainingSnapshot, http: Request) -> list[dict[str, object]]:
    events = tuning_events(job)
    return in_capitals(events) if is_together_1(http) else events


def together_download_router(studio: Studio) -> APIRouter:
    """Download what a job trained."""
    router = APIRouter()

    @router.get("/finetune/download")
    async def download(
        ft_id: str,
        checkpoint: Literal["merged", "adapter", "model_output_path"] = "merged",
        checkpoint_step: int = Query(0, ge=0),
    ) -> FileResponse:
        job = await asyncio.to_thread(studio.training_job, ft_id)
        target = TARGETS[checkpoint]
        path = await asyncio.to_thread(archive_of, job, checkpoint_step, target, studio.home)
        return FileResponse(path, media_type="application/x-tar", filename=path.name)

    return router


async def _check_base(name: str, backend: Backend, studio: Studio) -> None:
    """Raises `UnknownModel` unless it is a model served here, or a job to go on from."""
    try:
        await model_info(name, backend)
    except UnknownModel:
        try:
            await asyncio.to_thread(starting_point, name, studio)
        except InvalidRequest:
            is_job = any(job.id == name for job in await asyncio.to_thread(studio.training_jobs))
            if not is_job:
                raise Refused(
                    404, "model_not_found", f"there is no model or job {name!r}", "model_name"
                ) from None


def _estimated_tokens(body: EstimateBody, uploads: Uploads) -> tuple[int, int]:
    """Return about how many tokens are trained and evaluated, by the files' sizes."""
    trained = named_file("training_file", body.training_file, uploads).size
    evaluated = 0
    if body.validation_file:  # version 1 of the client sends an empty text for none
        evaluated = named_file("validation_file", body.validation_file, uploads).size
    epochs = body.n_epochs or 1
    return trained * epochs // BYTES_PER_TOKEN, evaluated // BYTES_PER_TOKEN


def _create_job(body: FineTuneBody, studio: Studio, uploads: Uploads) -> TrainingSnapshot:
    files = named_file("training_file", body.training_file, uploads)
    validation = None
    if body.validation_file:
        validation = named_file("validation_file", body.validation_file, uploads)
    if body.early_stopping_enabled and not (validation and body.n_evals):
        raise InvalidRequest("early_stopping_enabled", "needs a validation_file and n_evals")
    start = starting_point(body.from_checkpoint, studio) if body.from_checkpoint else None
    asked: dict[str, object] = {
        TRAINING_FILE: files.id,
        VALIDATION_FILE: validation.id if validation else None,
        FROM_CHECKPOINT: body.from_checkpoint,
        N_EVALS: body.n_evals,
        N_CHECKPOINTS: body.n_checkpoints,
    }
    return studio.train(
        body.suffix or DEFAULT_NAME,
        tuning_recipe(body, studio.for_base(recipe_for(studio.base)), start),
        [files.path],
        validation.path if validation else None,
        publishes=True,
        request=asked,
    )
