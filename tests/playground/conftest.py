"""The embedded model, loaded once for every test that talks to it; the playground as a process."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.models.catalogue import find
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import ModelInfo


@pytest.fixture(scope="session")
def loaded() -> LoadedModel:
    """The model that ships in the package, as `playground` loads it."""
    return load(ModelSpec("embedded"))


@pytest.fixture(scope="session")
def backend(loaded: LoadedModel) -> Iterator[LocalBackend]:
    """An backend over it."""
    entry = find("embedded")
    assert entry is not None
    info = ModelInfo(loaded.name, loaded.context_length, defaults=entry.sampling, created=1)
    with LocalBackend(loaded, info) as running:
        yield running


@contextmanager
def playground_process(home: Path, *flags: str) -> Iterator[str]:
    """Start the whole playground in a process of its own; yields where it listens."""
    with killable_playground(home, *flags) as (url, _):
        yield url


@contextmanager
def killable_playground(
    home: Path, *flags: str, port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yields the process, too."""
    command = "from playground.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "--port", str(port), "--home", str(home), *flags],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            assert process.stdout.readline().startswith("Ready: ")
            yield found.group(), process
        finally:
            process.terminate()  # whoever leaves the block by an error would wait for it for ever


@pytest.fixture(scope="session")
def playground_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the whole playground listens, in a process of its own."""
    with playground_process(tmp_path_factory.mktemp("home"), "--run-tools") as url:
        yield url
