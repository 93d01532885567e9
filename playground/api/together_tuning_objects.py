"""Training jobs, their events, checkpoints and metrics as Together's clients read them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from playground.api.fine_tuning_objects import TRAINING_FILE, VALIDATION_FILE, fine_tuned_model
from playground.files import modified_s
from playground.jobs import State
from playground.studio.kinds.train import (
    N_CHECKPOINTS,
    N_EVALS,
    PUBLISHING,
    REPORT_CARD,
    TRAINING,
    VALIDATING,
    TrainingSnapshot,
)
from playground.studio.studio import Studio
from playground.studio.training import Recipe, step_of
from playground.studio.training_work import LEFT_OUT, ROWS, TRAINED_TOKENS

FROM_CHECKPOINT = "from_checkpoint"
"""Key of a job's input: what the client named as the start of its training."""
OWNER = "mistral-playground"
STATUS: Mapping[State, str] = {
    "queued": "queued",
    "running": "running",
    "paused": "pending",
    "stopped": "cancelled",
    "failed": "error",
    "done": "completed",
}
WARNING = "warning"
EVENT_TYPES: Mapping[str, str] = {
    "Created": "job_pending",
    "Started": "job_start",
    "Resumed": "job_restarted",
    "Paused": "job_stopped",
    "Stopped": "cancel_requested",
    "Done": "job_complete",
    VALIDATING.capitalize(): "training_data_downloading",
    TRAINING.capitalize(): "training_start",
    REPORT_CARD.capitalize(): "training_complete",
    PUBLISHING.capitalize(): "model_uploading",
}
"""Together's types of what happens to a job, by its message; all else is a ``warning``."""
MAX_EPOCHS, MAX_EVALS, MAX_CHECKPOINTS, MAX_RANK, MAX_BATCH, MIN_LENGTH = (
    1000, 1000, 1000, 512, 1024, 16,
)  # fmt: skip
LEARNING_RATES = (1e-7, 1.0)
"""The recipe's ranges (`finetune.recipe`)."""


def tuning_body(job: TrainingSnapshot, studio: Studio) -> dict[str, object]:
    """Together's job object without its events, with ``x_rows`` beside it."""
    asked, recipe = job.input, job.recipe
    name = fine_tuned_model(job, studio)
    events = tuning_events(job)
    rows = job.result.get(ROWS)
    left = job.seconds_left
    return {
        "object": "fine-tune",
        "id": job.id,
        "job_id": job.id,
        "user_id": OWNER,
        "status": STATUS[job.state],
        "created_at": _iso(job.created_s),
        "updated_at": events[-1]["created_at"] if events else _iso(job.created_s),
        "started_at": next((e["created_at"] for e in events if e["type"] == "job_start"), None),
        "model": studio.base_model,
        "model_output_name": name,
        "adapter_output_name": name,
        "model_output_path": None,
        "suffix": job.name,
        "training_file": asked.get(TRAINING_FILE) or job.files[0],
        "validation_file": asked.get(VALIDATION_FILE) or job.evaluation_file or "",
        "from_checkpoint": asked.get(FROM_CHECKPOINT),
        "n_evals": asked.get(N_EVALS) or 0,
        "n_checkpoints": asked.get(N_CHECKPOINTS) or 1,
        **(_recipe_body(recipe) if recipe else {}),
        "total_steps": job.progress.total or None,
        "steps_completed": job.progress.done,
        "evals_completed": sum("eval_loss" in line for line in job.log),
        "progress": {"estimate_available": left is not None, "seconds_remaining": int(left or 0)},
        "token_count": job.result.get(TRAINED_TOKENS),
        "total_price": 0,
        "trainingfile_numlines": rows,
        "TrainingFileNumLines": rows,
        "x_rows": {"total": rows, "left_out": job.result.get(LEFT_OUT)},
        "x_error": job.message or None,
    }


def _recipe_body(recipe: Recipe) -> dict[str, object]:
    """What it trains with, whether the client asked for it or not."""
    method: dict[str, object] = {"method": recipe.method, "train_on_inputs": "auto"}
    if recipe.method != "sft":
        method = {"method": recipe.method, "dpo_beta": recipe.beta}
    scheduler: dict[str, object] = {"min_lr_ratio": 0.0}
    if recipe.lr_scheduler_type == "cosine":
        scheduler["num_cycles"] = 0.5
    return {
        "n_epochs": int(recipe.num_train_epochs) or None,
        "batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler": {
            "lr_scheduler_type": recipe.lr_scheduler_type, "lr_scheduler_args": scheduler,
        },
        "warmup_ratio": recipe.warmup_ratio,
        "max_grad_norm": recipe.max_grad_norm,
        "weight_decay": recipe.weight_decay,
        "max_seq_length": recipe.max_length,
        "packing": recipe.packing,
        "random_seed": recipe.seed,
        "eval_steps": recipe.eval_steps,
        "train_on_inputs": "auto",
        "training_method": method,
        "training_type": {
            "type": "Lora",
            "lora_r": recipe.lora_r,
            "lora_alpha": recipe.lora_alpha,
            "lora_dropout": recipe.lora_dropout,
            "lora_trainable_modules": recipe.target_modules,
        },
    }  # fmt: skip


def tuning_events(job: TrainingSnapshot) -> list[dict[str, object]]:
    """What happened to the job and the checkpoints that it keeps, the earliest first."""
    timed = [
        (float(str(event["time_s"])), _event(str(event["message"]), str(event["level"])))
        for event in job.events
    ]
    for path in job.checkpoints:
        step = step_of(path)
        body = {"message": f"Checkpoint of step {step}", "level": "info", "step": step}
        timed.append((float(modified_s(path)), body | {"type": "checkpoint_save"}))
    timed.sort(key=lambda item: item[0])
    return [
        body
        | {
            "object": "fine-tune-event",
            "created_at": _iso(time_s),
            "total_steps": job.progress.total or None,
            "hash": f"{job.id}-{place}",
        }
        for place, (time_s, body) in enumerate(timed)
    ]


def in_capitals(events: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """The events as version 1 of Together's client reads them: types in capitals, and none for
    those that it does not know."""
    return [
        {**event, "type": None if event["type"] == WARNING else str(event["type"]).upper()}
        for event in events
    ]


def _event(message: str, level: str) -> dict[str, object]:
    kind = "job_error" if level == "error" else EVENT_TYPES.get(message, WARNING)
    return {"message": message, "type": kind, "level": "warning" if level == "warn" else level}


def tuning_checkpoints(job: TrainingSnapshot, studio: Studio) -> list[dict[str, object]]:
    """The checkpoints that are kept and the finished adapter, the latest first. ``object_name`` is
    the model that each is served as, once a request names it."""
    final = job.progress.done
    bodies = [
        {
            "checkpoint_type": f"Intermediate (step {step_of(path)})",
            "checkpoint": "adapter",
            "created_at": _iso(modified_s(path)),
            "path": f"{job.id}:{step_of(path)}",
            "step": step_of(path),
            "object_name": studio.checkpoint_model(job.id, step_of(path)),
        }
        for path in job.checkpoints
        if not (job.adapter and step_of(path) == final)
    ]
    if job.adapter:
        bodies.append(
            {
                "checkpoint_type": f"Final (step {final})",
                "checkpoint": "adapter",
                "created_at": _iso(modified_s(job.adapter)),
                "path": job.id,
                "step": final,
                "object_name": fine_tuned_model(job, studio),
            }
        )
    return bodies[::-1]


def tuning_metrics(
    job: TrainingSnapshot, steps: tuple[int, int], times_s: tuple[float, float], most: int | None
) -> list[dict[str, float]]:
    """Losses within these steps and times, each first and last included, in their order; of the
    training's at most ``most``, at even distances."""
    lines = [
        line
        for line in job.log
        if "done" not in line
        and ("loss" in line or "eval_loss" in line)
        and steps[0] <= line.get("step", 0) <= steps[1]
        and times_s[0] <= line.get("time_s", job.created_s) <= times_s[1]
    ]
    training = [line for line in lines if "loss" in line]
    if most is not None and len(training) > most:
        kept = {id(training[at * len(training) // most]) for at in range(most)}
        lines = [line for line in lines if "loss" not in line or id(line) in kept]
    names = {"loss": "train/loss", "eval_loss": "eval/loss", "learning_rate": "train/learning_rate"}
    return [
        {
            "global_step": line.get("step", 0),
            "logged_at": line.get("time_s", job.created_s),
            **{theirs: line[ours] for ours, theirs in names.items() if ours in line},
        }
        for line in lines
    ]


def limits_body(model: str, recipe: Recipe, modules: Sequence[str]) -> dict[str, object]:
    """What a training of this base may ask for."""
    low, high = LEARNING_RATES
    return {
        "model_name": model,
        "max_num_epochs": MAX_EPOCHS,
        "max_num_evals": MAX_EVALS,
        "max_num_checkpoints": MAX_CHECKPOINTS,
        "min_learning_rate": low,
        "max_learning_rate": high,
        "min_max_seq_length": MIN_LENGTH,
        "max_seq_length_sft": recipe.max_length,
        "max_seq_length_dpo": recipe.max_length,
        "default_gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "lora_training": {
            "default_rank": recipe.lora_r,
            "max_rank": MAX_RANK,
            "min_batch_size": 1,
            "max_batch_size": MAX_BATCH,
            "max_batch_size_dpo": MAX_BATCH,
            "target_modules": list(modules),
        },
        "full_training": None,
        "supports_full_training": False,
        "supports_vision": False,
        "supports_tools": True,
        "supports_reasoning": True,
        "merge_output_lora": True,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
