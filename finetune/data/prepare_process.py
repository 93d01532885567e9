"""Prepares a data set in a process of its own, so that the interpreter that serves is not held up.

The same code runs there (``python -m`` this module). It gets its work through standard input, which
stays open as long as its parent lives, and prints how many rows are done.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from finetune.data.storage import SourceFile, write_dataset
from finetune.data.workers import num_workers, prepare_in_processes
from playground.errors import RequestFailed
from playground.models.tokenizer import ChatTokenizer

logger = logging.getLogger(__name__)

MODULE = "finetune.data.prepare_process"
POLL_INTERVAL_S = 0.1


class PreparingStopped(Exception):
    """Whoever wanted a data set wants it no longer."""


@dataclass(frozen=True, slots=True)
class PrepareWork:
    """What `finetune.data.storage.write_dataset` takes, and how nice its process is to others."""

    folder: Path
    paths: Sequence[Path]
    files: Sequence[SourceFile]
    tokenizer: ChatTokenizer
    columns: Mapping[str, str]
    niceness: int


def write_in_process(
    work: PrepareWork,
    on_rows: Callable[[int], None] | None,
    stop_event: threading.Event | None,
) -> None:
    """Write a data set in a child process.

    Raises `PreparingStopped` within a moment of the event, `RequestFailed` if the child fails.
    """
    command = [sys.executable, "-m", MODULE]
    with (work.folder / ".log").open("w+b") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        stdin = cast(BinaryIO, child.stdin)
        reader = threading.Thread(target=_follow, args=(child.stdout, on_rows), daemon=True)
        reader.start()
        try:
            with suppress(BrokenPipeError):
                pickle.dump(work, stdin)
                stdin.flush()
            while child.poll() is None:
                if stop_event is None:
                    child.wait()
                elif stop_event.wait(POLL_INTERVAL_S):
                    raise PreparingStopped
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            reader.join()
            with suppress(BrokenPipeError):
                stdin.close()
        log.seek(0)
        printed = log.read().decode(errors="replace").strip()
    if child.returncode:
        logger.error("%s", printed)
        reason = printed.splitlines()[-1] if printed else f"exit status {child.returncode}"
        raise RequestFailed(f"the process that checks rows failed: {reason}")
    (work.folder / ".log").unlink()


def _follow(stream: BinaryIO, on_rows: Callable[[int], None] | None) -> None:
    with stream:
        for line in stream:
            if on_rows:
                on_rows(int(line))


def main() -> None:
    """Write the data set that standard input describes."""
    work: PrepareWork = pickle.load(sys.stdin.buffer)
    os.nice(work.niceness)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    workers = num_workers()
    write_dataset(
        work.folder,
        work.paths,
        work.files,
        lambda batches: prepare_in_processes(batches, work.tokenizer, work.columns, workers),
        lambda rows: print(rows, flush=True),
    )


def _end_with_parent() -> None:
    """End at once, with all workers, when the parent is gone."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
