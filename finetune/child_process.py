"""Work in a process of its own, so that the interpreter that serves is not held up.

The same code runs there (``python -m`` a module). It gets its work through standard input, which
stays open as long as its parent lives. Knows no rows.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from playground.errors import RequestFailed

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.1
NICENESS = 10
"""Of processes beside a server: while its engine is busy, each gets a tenth of what the engine gets
of a core, and otherwise all of it."""


class WorkStopped(Exception):
    """Whoever wanted the work done wants it no longer."""


def run_child(
    module: str,
    work: object,
    log_file: Path,
    on_line: Callable[[bytes], None],
    stop_event: threading.Event | None,
) -> None:
    """Run a module in a child process, and hand over each line that it prints.

    ``log_file`` holds its standard error while it runs. Raises `WorkStopped` within a moment of the
    event, `RequestFailed` if the child fails.
    """
    with log_file.open("w+b") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
        stdin = cast(BinaryIO, child.stdin)
        reader = threading.Thread(target=_follow, args=(child.stdout, on_line), daemon=True)
        reader.start()
        try:
            with suppress(BrokenPipeError):
                pickle.dump(work, stdin)
                stdin.flush()
            while child.poll() is None:
                if stop_event is None:
                    child.wait()
                elif stop_event.wait(POLL_INTERVAL_S):
                    raise WorkStopped
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            reader.join()
            with suppress(BrokenPipeError):
                stdin.close()
        log.seek(0)
        printed = log.read().decode(errors="replace").strip()
    log_file.unlink(missing_ok=True)
    if child.returncode:
        logger.error("%s", printed)
        reason = printed.splitlines()[-1] if printed else f"exit status {child.returncode}"
        raise RequestFailed(f"the process that checks rows failed: {reason}")


def _follow(stream: BinaryIO, on_line: Callable[[bytes], None]) -> None:
    with stream:
        for line in stream:
            on_line(line)


def read_work() -> object:
    """Return the work, in the child; from here on it ends at once when its parent is gone."""
    work: object = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return work


def _end_with_parent() -> None:
    """End with all workers."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)
