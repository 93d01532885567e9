"""The embedded model, loaded once for every test that talks to it; the playground as a process."""

import re
import time
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
from tests.playground.access.oidc_server import OidcServer, oidc_server
from tests.processes import RunningProcess, playground

START_S, STOP_S = 240, 30


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
) -> Iterator[tuple[str, RunningProcess]]:
    """Yields the process, too."""
    process = playground("--port", str(port), "--home", str(home), *flags)
    try:
        deadline = time.monotonic() + START_S
        while "\nReady: " not in process.stdout:
            assert process.wait(0.05) is None, process.output()
            assert time.monotonic() < deadline, process.output()
        found = re.search(r"http://\S+", process.stdout)
        assert found is not None
        yield found.group(), process
    finally:
        process.terminate()
        if process.wait(STOP_S) is None:
            process.kill()


@pytest.fixture(scope="session")
def playground_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the whole playground listens, in a process of its own; its report cards are short."""
    flags = ("--run-tools", "--judged-rows", "4")
    with playground_process(tmp_path_factory.mktemp("home"), *flags) as url:
        yield url


@pytest.fixture(scope="module")
def running_provider() -> Iterator[OidcServer]:
    """A provider of OpenID Connect over HTTP."""
    with oidc_server() as server:
        yield server


@pytest.fixture
def provider(running_provider: OidcServer) -> OidcServer:
    """It, as it was at first."""
    running_provider.reset()
    return running_provider
