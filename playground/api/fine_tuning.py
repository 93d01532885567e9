"""``/v1/fine_tuning/jobs`` as OpenAI has it, over the studio's jobs: the page's own.

A job that is made here publishes and promotes its adapter when it is done; the model is then named
``BASE:SUFFIX``, and ``SUFFIX`` for short.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from finetune.presets import recipe_for
from finetune.recipe import Recipe, make
from finetune.training.callbacks import Log
from finetune.training.checkpoints import step_of
from playground.api.translate import model_info
from playground.errors import InvalidRequest
from playground.protocol import Backend
from playground.store.uploads import Uploads
from playground.studio.jobs import Job, State
from playground.studio.studio import Studio

STATUS: dict[State, str] = {
    "queued": "queued",
    "running": "running",
    "paused": "paused",
    "stopped": "cancelled",
    "failed": "failed",
    "done": "succeeded",
}
DEFAULT_NAME = "expert"
Auto = Literal["auto"]
T = TypeVar("T")


class Hyperparameters(BaseModel):
    """OpenAI's; ``auto`` leaves the recipe's own."""

    model_config = ConfigDict(extra="forbid")
    n_epochs: float | Auto = "auto"
    batch_size: int | Auto = "auto"
    learning_rate_multiplier: float | Auto = "auto"
    beta: float | Auto = "auto"


class MethodPart(BaseModel):
    """Hyperparameters of one method."""

    model_config = ConfigDict(extra="forbid")
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)


class Method(BaseModel):
    """Supervised or DPO."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["supervised", "dpo"] = "supervised"
    supervised: MethodPart = Field(default_factory=MethodPart)
    dpo: MethodPart = Field(default_factory=MethodPart)


class JobBody(BaseModel):
    """What to train, on what, as what."""

    model_config = ConfigDict(extra="forbid")
    training_file: str
    model: str
    validation_file: str | None = None
    suffix: str | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**32)
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    metadata: dict[str, str] | None = None


def fine_tuning_router(backend: Backend, studio: Studio, uploads: Uploads) -> APIRouter:
    """Create, list, retrieve, cancel, pause, resume; events and checkpoints."""
    router = APIRouter(prefix="/fine_tuning/jobs")

    @router.post("")
    async def create(body: JobBody) -> dict[str, Any]:
        info = model_info(body.model, backend)
        if info.adapter:
            raise InvalidRequest("model", f"{body.model} is an adapter; train on its base")
        files = [uploads.find(body.training_file).path]
        validation = uploads.find(body.validation_file).path if body.validation_file else None
        recipe = _recipe(body, studio)
        job = await asyncio.to_thread(
            studio.train, body.suffix or DEFAULT_NAME, recipe, files, validation, publishes=True
        )
        return _body(job, backend)

    @router.get("")
    async def list_jobs(
        limit: int = Query(20, ge=1, le=1000), after: str | None = None
    ) -> dict[str, Any]:
        jobs = await asyncio.to_thread(studio.jobs.all)
        page, more = _page(jobs, [job.id for job in jobs], limit, after)
        data = [_body(job, backend) for job in page]
        return {"object": "list", "data": data, "has_more": more}

    @router.get("/{job_id}")
    async def retrieve(job_id: str) -> dict[str, Any]:
        return _body(studio.jobs.find(job_id), backend)

    @router.post("/{job_id}/{action}")
    async def act(job_id: str, action: Literal["cancel", "pause", "resume"]) -> dict[str, Any]:
        actions = {
            "cancel": studio.jobs.stop, "pause": studio.jobs.pause, "resume": studio.jobs.resume,
        }  # fmt: skip
        await asyncio.to_thread(actions[action], job_id)
        return _body(studio.jobs.find(job_id), backend)

    @router.get("/{job_id}/events")
    async def events(
        job_id: str, limit: int = Query(20, ge=1, le=1000), after: str | None = None
    ) -> dict[str, Any]:
        job = studio.jobs.find(job_id)
        found = [_event(job, line) for line in job.log if "loss" in line or "eval_loss" in line]
        found.reverse()
        page, more = _page(found, [each["id"] for each in found], limit, after)
        return {"object": "list", "data": page, "has_more": more}

    @router.get("/{job_id}/checkpoints")
    async def checkpoints(job_id: str) -> dict[str, Any]:
        job = studio.jobs.find(job_id)
        data = [_checkpoint(job, step_of(each), backend) for each in job.checkpoints[::-1]]
        return {"object": "list", "data": data, "has_more": False}

    return router


def _recipe(body: JobBody, studio: Studio) -> Recipe:
    method = body.method or Method()
    chosen = (method.dpo if method.type == "dpo" else method.supervised).hyperparameters
    chosen = body.hyperparameters or chosen
    recipe = studio.for_base(recipe_for(studio.base))
    values = {name: getattr(recipe, name) for name in recipe.__dataclass_fields__}
    values["method"] = "dpo" if method.type == "dpo" else "sft"
    for ours, theirs in (("num_train_epochs", chosen.n_epochs), ("beta", chosen.beta)):
        if theirs != "auto":
            values[ours] = float(theirs)
    if chosen.batch_size != "auto":
        values["micro_batch_size"] = chosen.batch_size
    if chosen.learning_rate_multiplier != "auto":
        values["learning_rate"] *= chosen.learning_rate_multiplier
    if body.seed is not None:
        values["seed"] = body.seed
    return make(values)


def _page(
    items: Sequence[T], ids: Sequence[str], limit: int, after: str | None
) -> tuple[Any, bool]:
    start = ids.index(after) + 1 if after in ids else 0
    return list(items[start : start + limit]), start + limit < len(items)


def _body(job: Job, backend: Backend) -> dict[str, Any]:
    recipe, base = job.run.recipe, backend.models()[0].name
    created = int(datetime.fromisoformat(job.run.date).timestamp())
    finished = next((line for line in reversed(job.log) if line.get("done")), None)
    seconds = float(finished["seconds"]) if finished else 0
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": created,
        "finished_at": created + round(seconds) if finished else None,
        "model": base,
        "fine_tuned_model": f"{base}:{job.run.name}" if job.published else None,
        "organization_id": "mistral-playground",
        "status": STATUS[job.state],
        "training_file": job.run.files[0].name,
        "validation_file": job.run.evaluation.name if job.run.evaluation else None,
        "result_files": [],
        "trained_tokens": None,
        "seed": recipe.seed,
        "suffix": job.run.name,
        "estimated_finish": None,
        "hyperparameters": {
            "n_epochs": recipe.num_train_epochs,
            "batch_size": recipe.micro_batch_size,
            "learning_rate_multiplier": 1.0,
        },
        "error": {"code": "job_failed", "message": job.message, "param": None}
        if job.state == "failed"
        else None,
        "integrations": [],
    }


def _event(job: Job, line: Log) -> dict[str, Any]:
    created = int(datetime.fromisoformat(job.run.date).timestamp())
    figures = {key: line[key] for key in ("step", "loss", "eval_loss") if key in line}
    kind = "training loss" if "loss" in line else "validation loss"
    value = line.get("loss", line.get("eval_loss", 0.0))
    return {
        "id": f"ftevent-{job.id}-{line['step']}{'-eval' if 'loss' not in line else ''}",
        "object": "fine_tuning.job.event",
        "created_at": created,
        "level": "info",
        "type": "metrics",
        "message": f"Step {line['step']}/{line.get('steps', '?')}: {kind}={value:.4f}",
        "data": figures,
    }


def _checkpoint(job: Job, step: int, backend: Backend) -> dict[str, Any]:
    line = next((each for each in job.log if each["step"] == step and "loss" in each), {})
    return {
        "id": f"ftckpt-{job.id}-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(datetime.fromisoformat(job.run.date).timestamp()),
        "fine_tuned_model_checkpoint": f"{backend.models()[0].name}:{job.run.name}.step-{step}",
        "fine_tuning_job_id": job.id,
        "step_number": step,
        "metrics": {"step": step, "train_loss": line.get("loss")},
    }
