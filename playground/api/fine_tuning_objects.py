"""Fine-tuning jobs, their events and checkpoints as OpenAI's clients read them."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from playground.files import modified_s
from playground.jobs import State
from playground.jobs.log import LogLine
from playground.jobs.queue import FAILED_IN
from playground.studio.kinds.train import (
    PROMOTED,
    RESULT_FILES,
    VALIDATING,
    TrainingSnapshot,
)
from playground.studio.model_names import version_name
from playground.studio.studio import Studio
from playground.studio.training import recipe_for, step_of
from playground.studio.training_work import LEFT_OUT, ROWS, TRAINED_TOKENS

STATUS: Mapping[State, str] = {
    "queued": "queued",
    "running": "running",
    "paused": "paused",
    "stopped": "cancelled",
    "failed": "failed",
    "done": "succeeded",
}
TRAINING_FILE, VALIDATION_FILE = "training_file", "validation_file"
METADATA, MULTIPLIER = "metadata", "learning_rate_multiplier"
"""Keys of a job's input: what the client asked for."""


def job_body(job: TrainingSnapshot, studio: Studio) -> dict[str, object]:
    """OpenAI's job object, with ``x_rows`` beside it."""
    is_validating = job.state == "running" and job.phase == VALIDATING
    ended = job.state in ("done", "failed", "stopped")
    done = job.state == "done"
    hyperparameters = _hyperparameters(job, studio)
    trained = job.recipe.method if job.recipe else "sft"
    method = "supervised" if trained == "sft" else trained
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created_s),
        "finished_at": int(job.ended_s) if ended and job.ended_s else None,
        "model": studio.base_model,
        "fine_tuned_model": fine_tuned_model(job, studio),
        "organization_id": "mistral-playground",
        "status": "validating_files" if is_validating else STATUS[job.state],
        "training_file": job.input.get(TRAINING_FILE) or job.files[0],
        "validation_file": job.input.get(VALIDATION_FILE) or job.evaluation_file,
        "result_files": job.result.get(RESULT_FILES, []) if done else [],
        "trained_tokens": job.result.get(TRAINED_TOKENS) if done else None,
        "seed": job.recipe.seed if job.recipe else 0,
        "suffix": job.name,
        "estimated_finish": int(time.time() + job.seconds_left) if job.seconds_left else None,
        "hyperparameters": hyperparameters,
        "method": {"type": method, method: {"hyperparameters": hyperparameters}},
        "metadata": job.input.get(METADATA),
        "error": _error(job),
        "integrations": [],
        "x_rows": {"total": job.result.get(ROWS), "left_out": job.result.get(LEFT_OUT)},
    }


def fine_tuned_model(job: TrainingSnapshot, studio: Studio) -> str | None:
    """The promoted name, or that of the version, which is served once a request names it."""
    if not job.published:
        return None
    name, _, version = job.published[-1].partition("/")
    served = name if job.result.get(PROMOTED) else version_name(name, version)
    return f"{studio.base_model}:{served}"


def _hyperparameters(job: TrainingSnapshot, studio: Studio) -> dict[str, object]:
    recipe = job.recipe
    if recipe is None:
        return {"n_epochs": "auto", "batch_size": "auto", MULTIPLIER: "auto"}
    default = recipe_for(studio.base).learning_rate
    epochs = recipe.num_train_epochs
    values: dict[str, object] = {
        "n_epochs": (int(epochs) if epochs.is_integer() else epochs) or "auto",
        "batch_size": recipe.micro_batch_size,
        MULTIPLIER: job.input.get(MULTIPLIER) or round(recipe.learning_rate / default, 6),
    }
    names = {"dpo": ("beta",), "kto": ("beta", "desirable_weight", "undesirable_weight")}
    return values | {name: getattr(recipe, name) for name in names.get(recipe.method, ())}


def _error(job: TrainingSnapshot) -> dict[str, object] | None:
    if job.state != "failed":
        return None
    in_files = job.result.get(FAILED_IN) == VALIDATING
    return {
        "code": "invalid_training_file" if in_files else "job_failed",
        "message": job.message,
        "param": "training_file" if in_files else None,
    }


def event_bodies(job: TrainingSnapshot) -> list[dict[str, object]]:
    """All events, the latest first: what happened to the job, and its figures. An id stays."""
    seen: Counter[str] = Counter()
    timed: list[tuple[float, dict[str, object]]] = []
    for place, event in enumerate(job.events):
        body = {"level": event["level"], "type": "message", "message": event["message"]}
        timed.append((float(str(event["time_s"])), body | {"id": f"e{place}", "data": None}))
    for line in job.log:
        figures = _figures(line)
        if figures:
            kind, body = figures
            name = f"{kind}-{int(line['step'])}"
            seen[name] += 1
            name += f"-{seen[name]}" if seen[name] > 1 else ""
            timed.append((line.get("time_s", job.created_s), body | {"id": name}))
    timed.sort(key=lambda item: item[0])
    return [
        body
        | {
            "id": f"ftevent-{job.id}-{body['id']}",
            "object": "fine_tuning.job.event",
            "created_at": int(time_s),
        }
        for time_s, body in reversed(timed)
    ]


def _figures(line: LogLine) -> tuple[str, dict[str, object]] | None:
    """Return the event of a log line, and its kind; None for a line without a loss of a step."""
    step = int(line.get("step", 0))
    if "done" in line:
        message = f"Training finished after {step} steps, mean training loss={line['loss']:.4f}"
        return "end", {"level": "info", "type": "message", "message": message, "data": None}
    for kind, field in (("training", "loss"), ("validation", "eval_loss")):
        if field in line:
            message = f"Step {step}/{line.get('steps', '?')}: {kind} loss={line[field]:.4f}"
            data = {key: line[key] for key in ("step", "loss", "eval_loss") if key in line}
            return kind, {"level": "info", "type": "metrics", "message": message, "data": data}
    return None


def checkpoint_bodies(job: TrainingSnapshot, studio: Studio) -> list[dict[str, object]]:
    """The checkpoints that are kept, the latest first; each is served once a request names it."""
    return [_checkpoint(job, path, studio) for path in reversed(job.checkpoints)]


def _checkpoint(job: TrainingSnapshot, path: Path, studio: Studio) -> dict[str, object]:
    step = step_of(path)
    lines = [line for line in job.log if line.get("step") == step and "done" not in line]
    figures = {key: value for line in lines for key, value in line.items()}
    metrics = {
        "step": step,
        "train_loss": figures.get("loss"),
        "valid_loss": figures.get("eval_loss"),
    }
    return {
        "id": f"ftckpt-{job.id}-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": modified_s(path),
        "fine_tuned_model_checkpoint": studio.checkpoint_model(job.id, step),
        "fine_tuning_job_id": job.id,
        "step_number": step,
        "metrics": {name: value for name, value in metrics.items() if value is not None},
    }
