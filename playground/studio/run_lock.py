"""Locks of training: one run at a time in a home, one process at a time in a run's folder.

The command and the server take the same ones (`playground.studio.runs.execute`), so that neither
trains what the other trains. A lock goes with its process, however that ends.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from playground.errors import Conflict
from playground.store.json_files import read_json_object, write_json_object

RUN_LOCK, RUN_OWNER = ".lock", ".owner.json"
HOME_LOCK, HOME_OWNER = ".training.lock", ".training.json"
POLL_INTERVAL_S = 0.2
PROBE_S = 0.25
"""Longer than `is_training` holds a lock that it only tries."""
OnWait = Callable[[str], None]


def is_training(folder: Path) -> bool:
    """Return whether a process trains the run in this folder."""
    if not (folder / RUN_OWNER).is_file():
        return False
    lock = FileLock(folder / RUN_LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


@contextmanager
def training_lock(
    folder: Path,
    runs: Path | None,
    stop_event: threading.Event,
    on_wait: OnWait | None = None,
) -> Iterator[bool]:
    """Hold the locks of a run's folder, and of the ``runs`` beside it, while the block trains.

    With ``on_wait``, which is told whom it waits for, it waits until they are free and yields
    False once ``stop_event`` is set before that. Without it, raises `Conflict`.
    """
    with ExitStack() as held:
        for place, lock, owner in (
            *([(runs, HOME_LOCK, HOME_OWNER)] if runs else []),
            (folder, RUN_LOCK, RUN_OWNER),
        ):
            file_lock = FileLock(place / lock, thread_local=False)
            if not _acquire(file_lock, place / owner, stop_event, on_wait):
                yield False
                return
            held.callback(file_lock.release)
            write_json_object(place / owner, {"pid": os.getpid(), "run": folder.name})
            held.callback((place / owner).unlink, missing_ok=True)
        yield True


def _acquire(
    lock: FileLock, owner: Path, stop_event: threading.Event, on_wait: OnWait | None
) -> bool:
    told = False
    while True:
        try:
            lock.acquire(timeout=PROBE_S, poll_interval=PROBE_S / 5)
        except Timeout:
            problem = _problem(owner)
        else:
            return True
        if on_wait is None:
            raise Conflict(problem)
        if not told:
            on_wait(problem)
            told = True
        if stop_event.wait(POLL_INTERVAL_S):
            return False


def _problem(owner: Path) -> str:
    body = read_json_object(owner)
    process = f"process {body['pid']}" if "pid" in body else "another process"
    run = f" run {body['run']}" if "run" in body else ""
    return f"{process} trains{run} in {owner.parent} now; wait for its end, or stop it there"
