"""Adapters that are served for a trial: a checkpoint, or a version before it is promoted.

Each user has one at a time, all users together `MAX_TRIALS`; the next trial unloads the one before.
Running requests keep their adapter to their end. Knows no job.
"""

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from playground.errors import EngineStopped, UnknownModel
from playground.protocol import AdapterHost, ModelInfo

MAX_TRIALS = 4


@dataclass(frozen=True, slots=True)
class _Trial:
    """A user's trial adapter; ``origin`` is the job or version that it comes from."""

    folder: Path
    origin: str
    info: ModelInfo


class Trials:
    """The trial adapters of one server. May be used from any thread."""

    def __init__(self, host: AdapterHost) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._trials: OrderedDict[str, _Trial] = OrderedDict()  # by user, by last use

    def load(self, folder: Path, name: str, origin: str, user: str = "") -> ModelInfo:
        """Serve the adapter in ``folder`` in place of the user's trial before.

        Raises what `AdapterHost.load_adapter` raises; the trial before goes on then.
        """
        with self._lock:
            before = self._trials.get(user)
            if before and (before.folder, before.info.adapter) == (folder, name):
                self._trials.move_to_end(user)
                return before.info
            info = self._host.load_adapter(folder, name)
            self._trials[user] = _Trial(folder, origin, info)
            self._trials.move_to_end(user)
            replaced = [before] if before else []
            while len(self._trials) > MAX_TRIALS:
                replaced.append(self._trials.popitem(last=False)[1])
            self._unload_unused(replaced)
        return info

    def unload(self, origin: str) -> None:
        """Unload the trials of a job or version."""
        with self._lock:
            users = [user for user, trial in self._trials.items() if trial.origin == origin]
            self._unload_unused([self._trials.pop(user) for user in users])

    def end(self, user: str) -> None:
        """Unload the trial of a user who has left."""
        with self._lock:
            trial = self._trials.pop(user, None)
            self._unload_unused([trial] if trial else [])

    def unload_missing(self) -> None:
        """Unload the trials whose files another process has removed."""
        with self._lock:
            users = [user for user, trial in self._trials.items() if not trial.folder.is_dir()]
            self._unload_unused([self._trials.pop(user) for user in users])

    def close(self) -> None:
        """Unload all of them."""
        with self._lock:
            trials = list(self._trials.values())
            self._trials.clear()
            self._unload_unused(trials)

    def _unload_unused(self, trials: list[_Trial]) -> None:
        """Another user may try the same one."""
        used = {trial.info.name for trial in self._trials.values()}
        for name in {trial.info.name for trial in trials} - used:
            with suppress(UnknownModel, EngineStopped):  # a client may have unloaded it
                self._host.unload_adapter(name)
