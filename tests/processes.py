"""Processes that start at once: forked from one that has imported the heavy libraries already.

Arguments, streams, signals and exit codes are their own, as of a command typed in a shell. What a
start itself imports, and what is answered meanwhile, is tested with `subprocess`.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

PRELOADED = ["tests.preloaded"]
STREAMS = ("stdin", "stdout", "stderr")


class RunningProcess:
    """A process of its own, with all that it prints."""

    def __init__(self, process: ForkServerProcess, folder: Path) -> None:
        self._process = process
        self._folder = folder

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def hold(self) -> None:
        """Send SIGSTOP: it stays alive, with its locks, and does nothing more."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self._process.kill()
        self._process.join()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; return the exit code, None if it still runs."""
        self._process.join(timeout_s)
        return self._process.exitcode

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return (self._folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        """Its errors and warnings so far."""
        return (self._folder / "stderr").read_text()

    def output(self) -> str:
        """Return both, what it printed at the end."""
        return self.stderr + self.stdout


def in_a_process(
    function: Callable[..., None],
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    typed: str = "",
) -> RunningProcess:
    """Call a function of a module in a process of its own; ``typed`` is its standard input."""
    context = ForkServerContext()
    context.set_forkserver_preload(PRELOADED)
    folder = Path(tempfile.mkdtemp(prefix="process-"))
    for stream in STREAMS:
        (folder / stream).write_text(typed if stream == "stdin" else "")
    process = context.Process(
        target=_call,
        args=(function, arguments, dict(os.environ) | dict(environment or {}), folder),
        daemon=True,
    )
    process.start()
    return RunningProcess(process, folder)


def playground(
    *arguments: str, environment: Mapping[str, str] | None = None, typed: str = ""
) -> RunningProcess:
    """Run the `playground` command in a process of its own."""
    return in_a_process(_playground, *arguments, environment=environment, typed=typed)


def _playground(*arguments: str) -> None:
    from playground.cli import main

    sys.argv = ["playground", *arguments]
    main()


def _call(
    function: Callable[..., None],
    arguments: tuple[object, ...],
    environment: dict[str, str],
    folder: Path,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, (name, stream) in enumerate(
        zip(STREAMS, (None, sys.stdout, sys.stderr), strict=True)
    ):
        if stream:
            stream.flush()
        file = os.open(folder / name, os.O_APPEND | (os.O_WRONLY if stream else os.O_RDONLY))
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    multiprocessing.current_process().daemon = False  # it may start processes itself
    function(*arguments)
