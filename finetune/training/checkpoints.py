"""A run's checkpoints: which of them are whole, which is the last good one, what they take on disk.

A killed process leaves a folder half written, and the highest number is then not the one to go on
from. A checkpoint counts only if every file that resuming needs can be opened.
"""

import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

FOLDER = re.compile(r"checkpoint-(\d+)")
WEIGHTS = "adapter_model.safetensors"
STATE = "trainer_state.json"
NEEDED = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_config.json")


def checkpoints(folder: Path) -> list[Path]:
    """All of them, whole or not, by step."""
    found = [each for each in folder.glob("checkpoint-*") if FOLDER.fullmatch(each.name)]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The optimiser step after which it was written."""
    match = FOLDER.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def problem_of(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be resumed from; None if it can."""
    try:
        state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        if state["global_step"] != step_of(checkpoint):
            return f"{STATE} is of step {state['global_step']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{STATE}: {error}"
    try:
        with safe_open(checkpoint / WEIGHTS, framework="pt") as weights:
            if not weights.keys():
                return f"{WEIGHTS} is empty"
    except (OSError, SafetensorError) as error:
        return f"{WEIGHTS}: {error}"
    for name in NEEDED:
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


def last_good(folder: Path) -> Path | None:
    """The latest checkpoint that can be resumed from."""
    return next((c for c in reversed(checkpoints(folder)) if problem_of(c) is None), None)


def size_of(folder: Path) -> int:
    """Bytes on disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def keep_within(folder: Path, budget: int, best: str | None = None) -> list[Path]:
    """Remove the oldest checkpoints until all take at most ``budget`` bytes; the last one and the
    best one stay. Returns what was removed."""
    found = checkpoints(folder)
    sizes = {each: size_of(each) for each in found}
    removed = []
    for each in found[:-1]:
        if sum(sizes.values()) <= budget:
            break
        if best and each.name == Path(best).name:
            continue
        shutil.rmtree(each)
        del sizes[each]
        removed.append(each)
    return removed
