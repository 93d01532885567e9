"""Locates models in a process of its own, which reads another hub's address than this one did."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from playground.errors import PlaygroundError
from playground.models.spec import ModelSpec
from tests.processes import in_a_process

ENDED_S = 30
HUB = "huggingface_hub"
DOWNLOAD = "playground.models.download"


class Downloader:
    """A process that downloads from one address."""

    def __init__(self, requests: Connection) -> None:
        self._requests = requests

    def locate(self, home: Path, source: str, revision: str = "") -> tuple[str, str]:
        """Return the folder or the error, and the progress bars."""
        self._requests.send((ModelSpec(source, revision=revision or None), home))
        answer, bars = self._requests.recv()
        return answer, bars


@contextmanager
def downloading(endpoint: str) -> Iterator[Downloader]:
    environment = {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    ours, theirs = Pipe()
    process = in_a_process(_serve, theirs, environment=environment)
    theirs.close()
    with ours:
        yield Downloader(ours)
    assert process.wait(ENDED_S) == 0, process.output()


def _serve(requests: Connection) -> None:
    """Answer until the other end is closed."""
    for name in [*sys.modules]:  # the library reads its environment once, at its import
        if name.partition(".")[0] == HUB or name == DOWNLOAD:
            del sys.modules[name]
    locate = import_module(DOWNLOAD).locate
    while True:
        try:
            spec, home = requests.recv()
        except EOFError:
            return
        bars = io.StringIO()
        with redirect_stderr(bars):
            try:
                answer = str(locate(spec, home))
            except PlaygroundError as error:
                answer = f"{type(error).__name__}: {error}"
        requests.send((answer, bars.getvalue()))
