"""`UsageMeter`: watches the streams of all answers, and keeps what each took.

A stream hands one object to a queue when it ends; a thread of the meter's writes to the database.
So no answer waits for the disk, and a database that takes nothing for a while costs no count: what
was not written yet is tried again. Knows no page and no HTTP.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from playground.errors import PlaygroundError
from playground.protocol import Delta, Finished, Request, StreamEvent, Timings, Usage
from playground.protocol.origin import current_origin
from playground.settings import UsageSettings
from playground.store.usage import AnswerUsage, UsageStore
from playground.store.viewer import current_owner

RETRY_S: Final = 2.0
BATCH: Final = 500
MAX_UNWRITTEN: Final = 50_000
"""Answers that may wait for the database; the oldest are lost beyond, and a warning says so."""
FLUSH_S: Final = 5.0
GATHER_S: Final = 0.1
"""What answers of so many seconds took is written at once, unless somebody waits for it."""
logger = logging.getLogger(__name__)


class UsageMeter:
    """The usage of one process. Close it after the backends whose streams it watches.

    ``base`` is the name of the resident model, by which an adapter that is asked for by its short
    name is counted.
    """

    def __init__(self, store: UsageStore, settings: UsageSettings, base: str = "") -> None:
        self.store = store
        self.settings = settings
        self._base = base
        self._unwritten: deque[AnswerUsage] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._closing = self._is_awaited = False
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and close the store."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if self._unwritten:
            logger.warning("the usage of %d answers could not be kept", len(self._unwritten))
        self.store.close()

    async def watch(
        self, request: Request, server: str, events: AsyncGenerator[StreamEvent, None]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Pass a stream on, its end with what the answer cost, and count it: also one that breaks
        off or is left. ``server`` is the alias of another server, empty for the resident model."""
        began, first_s = time.monotonic(), 0.0
        origin, owner = current_origin(), current_owner()
        used: Usage | None = None
        ending = "cancelled"
        counted = AnswerUsage(
            ended=0.0, model=request.model, prompt_tokens=0, completion_tokens=0, server=server,
            source=origin.source, key=origin.key, owner=owner,
            conversation=request.conversation, prompt=request.prompt_version,
        )  # fmt: skip
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    if isinstance(event, Finished):
                        used = None
                        answer = self._of_finished(counted, event)
                        self.add(answer)
                        yield replace(event, cost_usd=self._cost_usd(answer))
                        continue
                    first_s = first_s or time.monotonic() - began
                    used = event.usage or _at_least(used, event)
                    yield event
        except PlaygroundError:
            ending = "failed"
            raise
        finally:
            if used is not None:
                total_s = time.monotonic() - began
                cut = Finished("cancelled", used, Timings(0.0, first_s, total_s))
                self.add(replace(self._of_finished(counted, cut), finish_reason=ending))

    def add(self, answer: AnswerUsage) -> None:
        """Hand over what an answer took; returns at once."""
        with self._changed:
            if len(self._unwritten) >= MAX_UNWRITTEN:
                self._unwritten.popleft()
                self._lost += 1
            self._unwritten.append(answer)
            self._changed.notify_all()

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until everything is written that was handed over; returns whether it is."""
        with self._changed:
            self._is_awaited = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._unwritten, timeout_s)

    def _cost_usd(self, answer: AnswerUsage) -> float:
        price = self.settings.price_of(answer.model)
        return price.cost_usd(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)

    def _of_finished(self, counted: AnswerUsage, event: Finished) -> AnswerUsage:
        used, timings, provenance = event.usage, event.timings, event.provenance
        model = counted.model
        if self._base and not counted.server and model == provenance.adapter:
            model = f"{self._base}:{model}"
        return replace(
            counted,
            ended=time.time(),
            model=model,
            adapter_hash=provenance.adapter_hash,
            finish_reason=event.finish_reason,
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            completion_tokens=used.completion_tokens,
            first_token_s=timings.first_token_s,
            total_s=timings.total_s,
            running_s=max(0.0, timings.total_s - timings.queued_s),
        )

    def _run(self) -> None:
        """In the meter's thread: write what comes, in batches, until it is closed."""
        warned = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unwritten or self._closing)
                self._changed.wait_for(lambda: self._is_awaited or self._closing, GATHER_S)
                self._is_awaited = False
                batch = [self._unwritten[i] for i in range(min(BATCH, len(self._unwritten)))]
                lost, self._lost = self._lost, 0
            if lost:
                logger.warning("the usage of %d answers was lost: the database took none", lost)
            if not batch:
                return
            try:
                self.store.add(batch)
            except PlaygroundError as error:
                if not warned:
                    logger.warning("usage waits for the database: %s", error.message)
                warned = True
                with self._changed:
                    if self._changed.wait_for(lambda: self._closing, RETRY_S):
                        return
                continue
            warned = False
            with self._changed:
                for each in batch:
                    if self._unwritten and self._unwritten[0] is each:
                        self._unwritten.popleft()
                self._changed.notify_all()


def _at_least(used: Usage | None, event: Delta) -> Usage:
    """Another server says at the end what an answer took; a piece is a token at least."""
    before = used.completion_tokens if used else 0
    return Usage(used.prompt_tokens if used else 0, before + bool(event.text or event.reasoning))
