"""Every notebook runs from top to bottom, and prints what is committed."""

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
BIN = str(Path(sys.executable).parent)


def printed(notebook: Any) -> list[str]:
    """What each cell wrote to standard output; results that differ from run to run are not among
    it, nor are a library's warnings.
    """
    texts = []
    for cell in notebook.cells:
        written = [each for each in cell.get("outputs", []) if each.get("name") == "stdout"]
        texts.append("".join(each["text"] for each in written))
    return [text for text in texts if text]


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_is_committed(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([BIN, os.environ["PATH"]]))
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    committed = printed(notebook)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert committed
    assert printed(notebook) == committed


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
