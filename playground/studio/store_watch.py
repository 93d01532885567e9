"""Keeps what is served and what is promoted in the store the same, whoever promotes.

The command changes the store of a home whose server runs on: its changes are noticed within a
second, by the times of a few small files. Knows no job.
"""

import logging
import threading
from contextlib import suppress
from pathlib import Path

from playground.errors import EngineStopped, PlaygroundError, UnknownModel
from playground.jobs.index import Signature, signature_of
from playground.protocol import AdapterHost
from playground.store.adapters import PROMOTED_FILE, AdapterStore
from playground.studio.trials import Trials

logger = logging.getLogger(__name__)
POLL_INTERVAL_S = 1.0


class StoreWatch:
    """Serves the promoted versions of a store. May be used from any thread."""

    def __init__(self, store: AdapterStore, host: AdapterHost, trials: Trials) -> None:
        self._store = store
        self._host = host
        self._trials = trials
        self._lock = threading.Lock()
        self._served: dict[str, str] = {}
        """Versions, by the name under which this served them."""
        self._signature: Signature = ()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="store", daemon=True)

    def start(self) -> None:
        """Begin to watch; what is promoted so far is `serve_all`'s business."""
        self._signature = self._current_signature()
        self._thread.start()

    def close(self) -> None:
        """End watching; what is served stays."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def serve_all(self) -> list[str]:
        """Serve the promoted versions; returns those that could not be, and why."""
        with self._lock:
            self._served.clear()
            return self._follow()

    def remember(self, name: str, version: str | None) -> None:
        """Note what this process itself serves from now on under a name; None for nothing."""
        with self._lock:
            if version is None:
                self._served.pop(name, None)
            else:
                self._served[name] = version

    def sync(self) -> list[str]:
        """Follow what other processes changed; returns what could not be served, and why."""
        with self._lock:
            signature = self._current_signature()
            if signature == self._signature:
                return []
            self._trials.unload_missing()
            problems = self._follow()
            self._signature = signature
            return problems

    def _follow(self) -> list[str]:
        problems = []
        promoted = {version.name: version for version in self._store.promoted()}
        for name in self._served.keys() - promoted.keys():
            del self._served[name]
            with suppress(UnknownModel):  # a client may have unloaded it
                self._host.unload_adapter(name)
        for name, version in promoted.items():
            if self._served.get(name) == version.version:
                continue
            try:
                self._host.load_adapter(version.folder, name)
                self._served[name] = version.version
            except PlaygroundError as error:
                problems.append(f"adapter {name}/{version.version}: {error.message}")
        return problems

    def _current_signature(self) -> Signature:
        paths = [path for name in self._store.names() for path in self._paths(name)]
        return signature_of(self._store.folder, *paths)

    def _paths(self, name: str) -> tuple[Path, Path]:
        folder = self._store.folder / name
        return folder, folder / PROMOTED_FILE

    def _watch(self) -> None:
        while not self._closed.wait(POLL_INTERVAL_S):
            try:
                problems = self.sync()
            except EngineStopped:
                return
            except Exception:  # the thread's outer edge: a half-removed folder is whole next time
                logger.exception("the adapter store could not be read")
                continue
            for problem in problems:
                logger.warning("not served: %s", problem)
