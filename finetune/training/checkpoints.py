"""The names of a run's files and folders, and its checkpoints: which are complete, which is the
latest of these, what they take on disk.

A killed process leaves a folder half written, and the highest number is then not the one to resume
from. A checkpoint counts only if every file that resuming needs can be opened.
"""

import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from playground.models.adapters import CONFIG_FILE, WEIGHTS_FILE

CHECKPOINTS_FOLDER, ADAPTER_FOLDER = "checkpoints", "adapter"
METRICS_FILE, SAMPLES_FILE = "metrics.jsonl", "samples.jsonl"
RECIPE_FILE, DATA_HASH_FILE = "recipe.yaml", "data.sha256"
CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")
STATE_FILE = "trainer_state.json"
OTHER_FILES = ("optimizer.pt", "scheduler.pt", CONFIG_FILE)
RNG_FILE, RNG_FILES = "rng_state.pth", "rng_state_*.pth"
"""Of one process, and of each of several, which are there before ``trainer_state.json`` is."""


def checkpoints(folder: Path) -> list[Path]:
    """Return all checkpoints in a folder, complete or not, by step."""
    folders = [path for path in folder.glob("checkpoint-*") if CHECKPOINT_NAME.fullmatch(path.name)]
    return sorted(folders, key=step_of)


def step_of(checkpoint: Path) -> int:
    """Return the optimizer step after which a checkpoint was written."""
    match = CHECKPOINT_NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def problem_of(checkpoint: Path) -> str | None:
    """Return why a checkpoint cannot be resumed from; None if it can."""
    try:
        state = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
        if state["global_step"] != step_of(checkpoint):
            return f"{STATE_FILE} is of step {state['global_step']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{STATE_FILE}: {error}"
    try:
        with safe_open(checkpoint / WEIGHTS_FILE, framework="pt") as weights:
            if not weights.keys():
                return f"{WEIGHTS_FILE} is empty"
    except (OSError, SafetensorError) as error:
        return f"{WEIGHTS_FILE}: {error}"
    several = [path.name for path in checkpoint.glob(RNG_FILES)]
    for name in (*OTHER_FILES, *(several or [RNG_FILE])):
        path = checkpoint / name
        if not path.is_file() or not path.stat().st_size:
            return f"{name} is missing or empty"
        if path.suffix in (".pt", ".pth") and _broken_archive(path):
            return f"{name} is cut off"
    return None


def _broken_archive(path: Path) -> bool:
    """torch.save writes a zip archive, whose directory stands at its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except (zipfile.BadZipFile, OSError, pickle.UnpicklingError):
        return True


def last_complete(folder: Path) -> Path | None:
    """Return the latest checkpoint that can be resumed from."""
    return next((c for c in reversed(checkpoints(folder)) if problem_of(c) is None), None)


def size_of(folder: Path) -> int:
    """Return a folder's bytes on disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def keep_within(folder: Path, budget: int, best: str | None = None) -> list[Path]:
    """Remove the oldest checkpoints until all take at most ``budget`` bytes; the last one and the
    best one stay. Return what was removed."""
    candidates = checkpoints(folder)
    sizes = {checkpoint: size_of(checkpoint) for checkpoint in candidates}
    removed = []
    for checkpoint in candidates[:-1]:
        if sum(sizes.values()) <= budget:
            break
        if best and checkpoint.name == Path(best).name:
            continue
        shutil.rmtree(checkpoint)
        del sizes[checkpoint]
        removed.append(checkpoint)
    return removed
