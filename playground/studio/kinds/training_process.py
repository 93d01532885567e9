"""Training in a process of its own: on another GPU, on another base, or on a CPU that serves.

The same code runs there (``python -m`` this module, with the run's folder); the two talk through
that folder. SIGTERM asks the child to save a checkpoint and to end.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from finetune.training.hooks import Trained, TrainingHooks
from playground.errors import RequestFailed
from playground.files import write_atomic
from playground.models.download import fetch
from playground.models.spec import ModelSpec
from playground.runtime import delay_collection, quiet_libraries
from playground.studio.runs import Run, execute, open_run

POLL_INTERVAL_S = 0.2
MODULE = "playground.studio.kinds.training_process"
RESULT_FILE, LOG_FILE = ".result.json", ".training.log"


def train_in_subprocess(run: Run, hooks: TrainingHooks) -> Trained:
    """Train the run in a child process, which waits while another process trains.

    Raises `RequestFailed` with the last line that the child printed if it fails, `MemoryError` if
    it had too little memory.
    """
    result = run.folder / RESULT_FILE
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", MODULE, str(run.folder)]
    with (run.folder / LOG_FILE).open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while child.poll() is None:
                if hooks.stop_event.wait(POLL_INTERVAL_S):
                    child.terminate()
                    child.wait()
        finally:
            if child.poll() is None:
                child.kill()
    if child.returncode or not result.is_file():
        printed = (run.folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").strip()
        lines = printed.splitlines() or [f"exit status {child.returncode}"]
        if "out of memory" in printed.lower():
            raise MemoryError(lines[-1])
        raise RequestFailed(f"the training process failed: {lines[-1]}")
    body = json.loads(result.read_text(encoding="utf-8"))
    return Trained(Path(body["folder"]) if body["folder"] else None, *body["rest"])


def main(folder: Path) -> None:
    """Train in the child process and leave a result."""
    quiet_libraries()
    delay_collection()
    hooks = TrainingHooks(stop_event=threading.Event(), on_wait=print)

    def stop(_number: int, _frame: FrameType | None) -> None:
        hooks.stop_event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threading.Thread(target=_stop_with_parent, args=(hooks.stop_event,), daemon=True).start()
    run = open_run(folder)
    recipe = run.recipe
    spec = ModelSpec(
        recipe.base_model, precision=recipe.precision, quantization=recipe.quantization
    )
    fetch(spec, run.home)  # raises for a base that is not there before torch is imported
    from playground.models.loader import load

    trained = execute(run, load(spec, home=run.home), hooks)
    rest = [trained.steps, trained.loss, trained.seconds, trained.resumed_at]
    body = {"folder": str(trained.folder) if trained.folder else None, "rest": rest}
    write_atomic(folder / RESULT_FILE, json.dumps(body))


def _stop_with_parent(stop: threading.Event) -> None:
    """End when the server was killed: it cannot ask any more, and the next one takes the job up."""
    parent = os.getppid()
    while not stop.wait(POLL_INTERVAL_S):
        if os.getppid() != parent:
            stop.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
