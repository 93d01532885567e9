"""A circuit breaker: after several failures in a row nobody asks for a while. Knows no HTTP."""

import time
from collections.abc import Callable
from dataclasses import dataclass

FAILURES = 5
PAUSE_S = 15.0


@dataclass(slots=True)
class CircuitBreaker:
    """Closed at first. ``failures`` failures in a row open it for ``pause_s`` seconds; then one
    request may try, and its outcome closes it or opens it again.
    """

    failures: int = FAILURES
    pause_s: float = PAUSE_S
    clock: Callable[[], float] = time.monotonic
    _in_a_row: int = 0
    _opened_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether requests are held back now."""
        return self._in_a_row >= self.failures

    def wait_s(self) -> float:
        """Seconds until somebody may ask; 0 for now, in which case whoever called is the one."""
        if not self.is_open:
            return 0.0
        rest = self._opened_at + self.pause_s - self.clock()
        if rest > 0:
            return rest
        self._opened_at = self.clock()
        return 0.0

    def succeeded(self) -> None:
        """Note that the server answered."""
        self._in_a_row = 0

    def failed(self) -> None:
        """Note that it did not."""
        self._in_a_row += 1
        if self._in_a_row >= self.failures:
            self._opened_at = self.clock()
