"""Answers that are being written, and those of them whose conversation was cleared meanwhile.

A page's new message is ignored while its last one is being answered, so whoever clears waits for
the end of that answer. Knows no tab and no backend.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

POLL_S: Final = 0.02
DELIVERY_S: Final = 0.1
"""Gradio 6.31 looks every 50 ms for what it has to tell a browser about a stream."""
PATIENCE_S: Final = 3.0


class RunningAnswers:
    """Requests of a tab by their ids, of all visitors. Lives on one event loop."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._discarded: set[str] = set()

    @contextmanager
    def writing(self, request_id: str) -> Iterator[None]:
        """Inside, the request is running."""
        self._running.add(request_id)
        try:
            yield
        finally:
            self._running.discard(request_id)
            self._discarded.discard(request_id)

    def discard(self, request_id: str) -> None:
        """Nothing of the request is to be shown any more. Ignores one that is not running."""
        if request_id in self._running:
            self._discarded.add(request_id)

    def is_discarded(self, request_id: str) -> bool:
        """Whether `discard` was called for it."""
        return request_id in self._discarded

    async def ended(self, request_id: str) -> None:
        """Wait until the page has heard that the request ended, `PATIENCE_S` at most."""
        if request_id not in self._running:
            return
        deadline = time.monotonic() + PATIENCE_S
        while request_id in self._running and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
        await asyncio.sleep(DELIVERY_S)
