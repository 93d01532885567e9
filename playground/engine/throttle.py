"""Shares out the machine between answers and training, which work on the same base weights.

It is about fairness, not about correctness: the engine never waits, and training asks at every
layer whether it may go on. Knows nothing of what is trained.
"""

import threading
import time
from typing import Literal

TrainingPriority = Literal["low", "balanced", "high"]
"""``low``: training goes on only while nobody waits for an answer. ``balanced``: then for half of
the time. ``high``: always."""
LOOKS_S = 0.1
"""How often a waiting trainer looks whether it was told to stop."""


class TrainingThrottle:
    """One engine's; any number of threads may train."""

    def __init__(self, share: TrainingPriority = "low") -> None:
        self.share = share
        self._idle = threading.Event()
        self._idle.set()
        self._own = threading.local()

    def answering(self, *, busy: bool) -> None:
        """The engine says whether anybody waits for an answer."""
        if busy:
            self._idle.clear()
        else:
            self._idle.set()

    def wait(self, stop: threading.Event) -> None:
        """Called by training between pieces of work: returns when it may go on, or is to stop."""
        if self.share == "low":
            while not self._idle.wait(LOOKS_S) and not stop.is_set():
                pass
        elif self.share == "balanced" and not self._idle.is_set():
            now = time.monotonic()
            self._idle.wait(now - getattr(self._own, "since", now))
        self._own.since = time.monotonic()
