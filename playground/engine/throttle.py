"""Shares the machine between answers and training, which use the same base weights.

This is about fairness, not correctness: the engine never waits, and training asks at every layer
whether it may go on. Knows nothing of what is trained.
"""

import threading
import time
from typing import Literal

TrainingPriority = Literal["low", "balanced", "high"]
"""``low``: training runs only while no request is live. ``balanced``: while requests are live it
runs half of the time. ``high``: it never waits."""
POLL_INTERVAL_S = 0.1
"""How often a waiting training thread looks at its stop event."""


class TrainingThrottle:
    """Belongs to one engine; any number of threads may train."""

    def __init__(self, priority: TrainingPriority = "low") -> None:
        self.priority = priority
        self._idle = threading.Event()
        self._idle.set()
        self._local = threading.local()

    def set_busy(self, busy: bool) -> None:
        """Say whether any request is live; called by the engine."""
        if busy:
            self._idle.clear()
        else:
            self._idle.set()

    def wait(self, stop: threading.Event) -> None:
        """Return when training may go on or is to stop; called by training between layers."""
        if self.priority == "low":
            while not self._idle.wait(POLL_INTERVAL_S) and not stop.is_set():
                pass
        elif self.priority == "balanced" and not self._idle.is_set():
            now = time.monotonic()
            self._idle.wait(now - getattr(self._local, "resumed_s", now))
        self._local.resumed_s = time.monotonic()
