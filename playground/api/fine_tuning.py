"""``/v1/fine_tuning/jobs`` as OpenAI has it, over the same training jobs that the page shows.

A job that is created here publishes and promotes its adapter when it is done; the model is then
named ``BASE:SUFFIX``, and ``SUFFIX`` for short. Its checkpoints are served once a request names
one.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Literal, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from playground.api.translate import model_info
from playground.errors import InvalidRequest
from playground.protocol import Backend
from playground.store.uploads import Uploads
from playground.studio.jobs import State
from playground.studio.jobs.kinds.train import TrainingSnapshot
from playground.studio.jobs.log import LogLine
from playground.studio.studio import Studio
from playground.studio.training import Recipe, make, recipe_for, step_of

STATUS: dict[State, str] = {
    "queued": "queued",
    "running": "running",
    "paused": "paused",
    "stopped": "cancelled",
    "failed": "failed",
    "done": "succeeded",
}
DEFAULT_NAME = "adapter"
LEARNING_RATE_MULTIPLIER = "learning_rate_multiplier"
"""Key of a job's input: what the client asked for; the recipe holds the product."""
Auto = Literal["auto"]
T = TypeVar("T")


class Hyperparameters(BaseModel):
    """OpenAI's hyperparameters; ``auto`` keeps the recipe's value."""

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
    """Body of ``POST /v1/fine_tuning/jobs``."""

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
    async def create(body: JobBody) -> dict[str, object]:
        info = await model_info(body.model, backend)
        if info.adapter:
            raise InvalidRequest("model", f"{body.model} is an adapter; train on its base")
        files = [uploads.find(body.training_file).path]
        validation = uploads.find(body.validation_file).path if body.validation_file else None
        name, recipe = body.suffix or DEFAULT_NAME, _recipe(body, studio)
        multiplier = _hyperparameters(body).learning_rate_multiplier
        request = {} if multiplier == "auto" else {LEARNING_RATE_MULTIPLIER: multiplier}
        job = await asyncio.to_thread(
            studio.train, name, recipe, files, validation, publishes=True, request=request
        )
        return _body(job, studio)

    @router.get("")
    async def list_jobs(
        limit: int = Query(20, ge=1, le=1000), after: str | None = None
    ) -> dict[str, object]:
        jobs = await asyncio.to_thread(studio.training_jobs)
        page, more = _page(jobs, [job.id for job in jobs], limit, after)
        data = [_body(await asyncio.to_thread(studio.training_job, job.id), studio) for job in page]
        return {"object": "list", "data": data, "has_more": more}

    @router.get("/{job_id}")
    async def retrieve(job_id: str) -> dict[str, object]:
        return _body(await asyncio.to_thread(studio.training_job, job_id), studio)

    @router.post("/{job_id}/{action}")
    async def act(job_id: str, action: Literal["cancel", "pause", "resume"]) -> dict[str, object]:
        actions = {
            "cancel": studio.jobs.stop, "pause": studio.jobs.pause, "resume": studio.jobs.resume,
        }  # fmt: skip
        await asyncio.to_thread(actions[action], job_id)
        return _body(await asyncio.to_thread(studio.training_job, job_id), studio)

    @router.get("/{job_id}/events")
    async def list_events(
        job_id: str, limit: int = Query(20, ge=1, le=1000), after: str | None = None
    ) -> dict[str, object]:
        job = await asyncio.to_thread(studio.training_job, job_id)
        lines = [line for line in reversed(job.log) if "loss" in line or "eval_loss" in line]
        events = [_event(job, line) for line in lines]
        page, more = _page(events, [str(event["id"]) for event in events], limit, after)
        return {"object": "list", "data": page, "has_more": more}

    @router.get("/{job_id}/checkpoints")
    async def list_checkpoints(job_id: str) -> dict[str, object]:
        job = await asyncio.to_thread(studio.training_job, job_id)
        data = [_checkpoint(job, step_of(path), studio) for path in job.checkpoints[::-1]]
        return {"object": "list", "data": data, "has_more": False}

    return router


def _hyperparameters(body: JobBody) -> Hyperparameters:
    """Return those of the method, or the older ones beside it, which OpenAI still takes."""
    method = body.method or Method()
    of_method = method.dpo if method.type == "dpo" else method.supervised
    return body.hyperparameters or of_method.hyperparameters


def _recipe(body: JobBody, studio: Studio) -> Recipe:
    method = body.method or Method()
    chosen = _hyperparameters(body)
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
) -> tuple[list[T], bool]:
    start = ids.index(after) + 1 if after in ids else 0
    return list(items[start : start + limit]), start + limit < len(items)


def _body(job: TrainingSnapshot, studio: Studio) -> dict[str, object]:
    recipe = job.recipe
    base = studio.base_model
    failed = {"code": "job_failed", "message": job.message, "param": None}
    finished_s = job.ended_s if job.state == "done" else None
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created_s),
        "finished_at": int(finished_s) if finished_s else None,
        "model": base,
        "fine_tuned_model": f"{base}:{job.name}" if job.published else None,
        "organization_id": "mistral-playground",
        "status": STATUS[job.state],
        "training_file": job.files[0],
        "validation_file": job.evaluation_file,
        "result_files": [],
        "trained_tokens": None,
        "seed": recipe.seed if recipe else 0,
        "suffix": job.name,
        "estimated_finish": int(time.time() + job.seconds_left) if job.seconds_left else None,
        "hyperparameters": {
            "n_epochs": (recipe.num_train_epochs if recipe else 0) or "auto",
            "batch_size": recipe.micro_batch_size if recipe else "auto",
            "learning_rate_multiplier": job.input.get(LEARNING_RATE_MULTIPLIER, 1.0),
        },
        "error": failed if job.state == "failed" else None,
        "integrations": [],
    }


def _event(job: TrainingSnapshot, line: LogLine) -> dict[str, object]:
    step = int(line["step"])
    trained = "loss" in line
    kind, value = ("training", line["loss"]) if trained else ("validation", line["eval_loss"])
    return {
        "id": f"ftevent-{job.id}-{step}{'' if trained else '-eval'}",
        "object": "fine_tuning.job.event",
        "created_at": int(job.created_s),
        "level": "info",
        "type": "metrics",
        "message": f"Step {step}/{line.get('steps', '?')}: {kind} loss={value:.4f}",
        "data": {key: line[key] for key in ("step", "loss", "eval_loss") if key in line},
    }


def _checkpoint(job: TrainingSnapshot, step: int, studio: Studio) -> dict[str, object]:
    lines = (line for line in job.log if line["step"] == step and "loss" in line)
    return {
        "id": f"ftckpt-{job.id}-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(job.created_s),
        "fine_tuned_model_checkpoint": studio.checkpoint_model(job.name, step),
        "fine_tuning_job_id": job.id,
        "step_number": step,
        "metrics": {"step": step, "train_loss": next(lines, {}).get("loss")},
    }
