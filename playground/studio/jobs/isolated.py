"""A job in a process of its own: another GPU, another base, or a CPU that serves at the same time.

The same code runs there (``python -m playground.studio.jobs.isolated RUN``); its folder is how the two talk.
SIGTERM asks it to save a checkpoint and to end.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from filelock import FileLock

from finetune.training.train import Trained, TrainingHooks
from playground.errors import RequestFailed
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.runtime import quiet_libraries
from playground.studio.runs import Run, execute, open_run

LOOKS_S = 0.2
OTHER_S = 120
RESULT, WORDS = ".result.json", ".isolated.log"


def train_in_subprocess(run: Run, watch: TrainingHooks) -> Trained:
    """Train the run in a child process. Raises `RequestFailed` with its last words if it fails."""
    result = run.folder / RESULT
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "playground.studio.jobs.isolated", str(run.folder)]
    with (run.folder / WORDS).open("wb") as words:
        child = subprocess.Popen(command, stdout=words, stderr=words)
        try:
            while child.poll() is None:
                if watch.stop_event.wait(LOOKS_S):
                    child.terminate()
                    child.wait()
        finally:
            if child.poll() is None:
                child.kill()
    if child.returncode or not result.is_file():
        last = (run.folder / WORDS).read_text(encoding="utf-8", errors="replace").strip()
        lines = last.splitlines() or [f"exit status {child.returncode}"]
        if "out of memory" in last.lower():
            raise MemoryError(lines[-1])
        raise RequestFailed(f"the training process failed: {lines[-1]}")
    body = json.loads(result.read_text(encoding="utf-8"))
    return Trained(Path(body["folder"]) if body["folder"] else None, *body["rest"])


def main(folder: Path) -> None:
    """The child: train and leave a result."""
    quiet_libraries()
    watch = TrainingHooks()

    def stop(_number: int, _frame: FrameType | None) -> None:
        watch.stop_event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threading.Thread(target=_stop_with_parent, args=(watch.stop_event,), daemon=True).start()
    run = open_run(folder)
    recipe = run.recipe
    spec = ModelSpec(
        recipe.base_model, precision=recipe.precision, quantization=recipe.quantization
    )
    with FileLock(folder / ".lock", timeout=OTHER_S):  # an orphan may still be saving
        done = execute(run, load(spec), watch)
    rest = [done.steps, done.loss, done.seconds, done.resumed_at]
    body = {"folder": str(done.folder) if done.folder else None, "rest": rest}
    (folder / RESULT).write_text(json.dumps(body), encoding="utf-8")


def _stop_with_parent(stop: threading.Event) -> None:
    """A server that was killed cannot ask; its job is taken up by the next one."""
    parent = os.getppid()
    while not stop.wait(LOOKS_S):
        if os.getppid() != parent:
            stop.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
