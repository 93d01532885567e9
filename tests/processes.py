"""Processes that start at once: forked from one that has imported the heavy libraries already."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

PRELOADED = ["finetune.commands.training", "playground.studio.studio", "trl.trainer.sft_trainer"]


class RunningProcess:
    """A process of its own, with all that it prints."""

    def __init__(self, process: ForkServerProcess, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.join()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; return the exit code, None if it still runs."""
        self._process.join(timeout_s)
        return self._process.exitcode

    def output(self) -> str:
        """Return what it printed so far, errors included."""
        return self._log.read_text()


def in_a_process(
    function: Callable[..., None], *arguments: object, environment: Mapping[str, str] | None = None
) -> RunningProcess:
    """Call a function of a module in a process of its own."""
    context = ForkServerContext()
    context.set_forkserver_preload(PRELOADED)
    number, log = tempfile.mkstemp(prefix="process-", suffix=".log")
    os.close(number)
    process = context.Process(
        target=_call, args=(function, arguments, dict(environment or {}), log), daemon=True
    )
    process.start()
    return RunningProcess(process, Path(log))


def _call(
    function: Callable[..., None],
    arguments: tuple[object, ...],
    environment: dict[str, str],
    log: str,
) -> None:
    os.environ.update(environment)
    with open(log, "wb", buffering=0) as file:  # noqa: PTH123
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    multiprocessing.current_process().daemon = False  # it may start processes itself
    function(*arguments)
