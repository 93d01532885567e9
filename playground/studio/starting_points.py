"""Finds the adapter that a training starts from, by the names that Together's clients use:
``JOB``, ``JOB:STEP``, ``MODEL`` or ``MODEL:STEP``. Knows no HTTP.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finetune.training.checkpoints import step_of
from playground.errors import InvalidRequest, UnknownAdapter, UnknownJob
from playground.models.adapters import CONFIG_FILE
from playground.protocol.json_types import parse_object
from playground.studio.kinds.train import TrainingSnapshot
from playground.studio.model_names import parse_version_name
from playground.studio.studio import Studio

STEP = re.compile(r"(?P<name>.+):(?P<step>\d+)")


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """An adapter's folder, and the recipe's fields that have to be as they were for it."""

    folder: Path
    fields: Mapping[str, object]


def starting_point(text: str, studio: Studio) -> StartingPoint:
    """Return what ``text`` names: a job's adapter or one of its checkpoints, or a version.

    Raises `InvalidRequest` if there is nothing of that name.
    """
    match = STEP.fullmatch(text)
    name, step = (match["name"], int(match["step"])) if match else (text, 0)
    folder = _folder(name, step, studio)
    if folder is None:
        raise InvalidRequest("from_checkpoint", f"there is no job, model or checkpoint {text!r}")
    return StartingPoint(folder, _fields(folder))


def weights_of(job: TrainingSnapshot, step: int) -> Path | None:
    """Return the folder of a job's weights after a step, or of the finished adapter for 0."""
    if job.adapter and step in (0, job.progress.done):
        return job.adapter
    return next((path for path in job.checkpoints if step_of(path) == step), None)


def _folder(name: str, step: int, studio: Studio) -> Path | None:
    with suppress(UnknownJob):
        return weights_of(studio.training_job(name), step)
    if step == 0 and (found := studio.find_unpromoted(name)):
        return found[0]
    adapter = name.removeprefix(f"{studio.base_model}:")
    with suppress(UnknownAdapter):
        stored = studio.store.find(*(parse_version_name(adapter) or (adapter, None)))
        if step == 0:
            return stored.folder
        published = f"{stored.name}/{stored.version}"
        for summary in studio.training_jobs():
            job = studio.training_job(summary.id)
            if published in job.published:
                return weights_of(job, step)
    return None


def _fields(folder: Path) -> dict[str, object]:
    """Read rank, alpha and modules from PEFT's config."""
    config = parse_object((folder / CONFIG_FILE).read_bytes())
    modules = config["target_modules"]
    names = ",".join(sorted(map(str, modules))) if isinstance(modules, list) else modules
    return {
        "lora_r": config["r"],
        "lora_alpha": config["lora_alpha"],
        "use_rslora": config.get("use_rslora", False),
        "target_modules": names,
    }
