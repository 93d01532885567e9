"""Every notebook runs from top to bottom, and prints what is committed.

Its cells run as IPython runs them, in a process that has imported the heavy libraries already, and
so does the `playground` that it starts (`tests.processes`).
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.processes import in_a_process

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LONG_S = 600


def committed(path: Path) -> list[str]:
    """What each cell wrote to standard output; results that differ from run to run are not among
    it, nor are a library's warnings.
    """
    texts = []
    for cell in nbformat.read(path, as_version=4).cells:
        written = [each for each in cell.get("outputs", []) if each.get("name") == "stdout"]
        texts.append("".join(each["text"] for each in written))
    return [text for text in texts if text]


class ForkedPlayground:
    """The `playground` command in a process that waited for it; has what a notebook uses of
    `subprocess.Popen`.
    """

    def __init__(self, connection: Connection, command: Sequence[str]) -> None:
        connection.send(command)
        self._pid: int = connection.recv()
        self.stdout = os.fdopen(os.dup(connection.fileno()), encoding="utf-8")

    def terminate(self) -> None:
        os.kill(self._pid, signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has closed its output; the test looks at its exit code."""
        self.stdout.read()


def await_command(connection: Connection) -> None:
    """Run the `playground` command that comes through the connection, which gets its output."""
    from playground.cli import main

    try:
        sys.argv = connection.recv()
    except EOFError:
        return  # a notebook that starts none
    connection.send(os.getpid())
    os.dup2(connection.fileno(), sys.stdout.fileno())
    connection.close()
    main()


def run_cells(path: Path, connection: Connection) -> None:
    """Run a notebook's cells, and print what each wrote to standard output, as one line of JSON."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    popen = subprocess.Popen

    def start(command: Sequence[str], **options: Any) -> object:
        if command[0] == "playground":
            return ForkedPlayground(connection, command)
        return popen(command, **options)

    subprocess.Popen = start  # type: ignore[assignment, misc]
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    texts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            with shell.display_trap, capture_output() as captured:
                result = shell.run_cell(cell.source)
            result.raise_error()
            texts.append(captured.stdout)
    print(json.dumps([text for text in texts if text]))


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_is_committed(
    path: Path, new_home: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(new_home()))
    monkeypatch.chdir(tmp_path)
    asks, answers = multiprocessing.Pipe()
    server = in_a_process(await_command, answers)
    cells = in_a_process(run_cells, path, asks)
    asks.close()
    answers.close()
    assert cells.wait(LONG_S) == 0, cells.output()
    assert committed(path)
    assert json.loads(cells.stdout.splitlines()[-1]) == committed(path)
    assert server.wait(LONG_S) == 0, server.output()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_calls_the_packages_and_defines_nothing(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert not any(line.startswith(("def ", "class ", "async def ")) for line in code.splitlines())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_shows_no_warning_and_no_error(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    assert outputs
    assert not [
        each for each in outputs if each.get("name") == "stderr" or each["output_type"] == "error"
    ]
