"""Batches: requests in a file, answered behind all others, whose results are files in turn.

They belong to the server: each result is kept as it comes, and a batch that a kill or a restart
interrupted goes on where it was. Who answers a request is the caller's business (`Dispatch`).
Knows no HTTP and no model.
"""

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from playground.errors import Conflict, InvalidRequest, UnknownFile
from playground.lab.batch_lines import (
    BatchLine,
    BatchReply,
    LineProblem,
    check_lines,
    read_lines,
    result_of,
    unanswered,
)
from playground.protocol.json_types import JsonObject
from playground.protocol.origin import coming_from
from playground.store.batches import Batch, BatchStatus, BatchStore, LineResult, NewBatch
from playground.store.uploads import Uploads
from playground.store.viewer import Viewer, viewed_by

Dispatch = Callable[[str, JsonObject], Awaitable[BatchReply]]
"""Answers the body of a request to an endpoint, with a low priority."""

BATCH = "batch"
OUTPUT_PURPOSE = "batch_output"
TRY_AGAIN = (429, 503)
"""Statuses after which the same request may succeed: the queue is full, or the model loads."""
RETRY_S = 0.5
POLL_S, IDLE_S = 0.1, 5.0

log = logging.getLogger(__name__)


class Batches:
    """The batches of one server. May be used from any thread; close it before the backend.

    ``concurrency`` is how many requests are handed over at once, of all batches together.
    """

    def __init__(
        self, home: Path, uploads: Uploads, concurrency: int = 32, *, url: str = ""
    ) -> None:
        self.home = home
        self._store = BatchStore(home, url)
        self._uploads = uploads
        self._concurrency = concurrency
        self._closing = threading.Event()
        self._worker: _Worker | None = None

    def start(self, dispatch: Dispatch, ready: Callable[[], bool]) -> None:
        """Begin to answer, in a thread of its own, once ``ready`` says so; only the first call
        counts."""
        if self._worker is None:
            slots = asyncio.Semaphore(self._concurrency)
            self._worker = _Worker(self._store, self._uploads, dispatch, slots)
            self._worker.start(ready, self._closing)

    def close(self) -> None:
        """Stop; batches that run go on at the next start."""
        self._closing.set()
        if self._worker:
            self._worker.wake()
            self._worker.join()
        self._store.close()

    def create(self, new: NewBatch) -> Batch:
        """Take a batch. Raises `UnknownFile`; what is wrong in the file, the batch says later."""
        self._uploads.find(new.input_file_id)
        batch = self._store.create(new)
        self._look()
        return batch

    def find(self, batch_id: str) -> Batch:
        """Return a batch. Raises `UnknownBatch`."""
        return self._store.find(batch_id)

    def all(self) -> list[Batch]:
        """Return all batches, the latest first."""
        return self._store.all()

    def cancel(self, batch_id: str) -> Batch:
        """Stop a batch; what is answered is kept. Raises `UnknownBatch`, or `Conflict` for one that
        has ended."""
        if not self._store.cancel(batch_id):
            batch = self._store.find(batch_id)
            if not batch.is_running:
                raise Conflict(f"batch {batch_id} is {batch.status}; it cannot be cancelled")
        self._look()
        return self._store.find(batch_id)

    def _look(self) -> None:
        if self._worker:
            self._worker.wake()

    def wait(self, batch_id: str, timeout_s: float) -> Batch:
        """Return a batch once it has ended. Raises `TimeoutError`."""
        until = time.monotonic() + timeout_s
        while (batch := self._store.find(batch_id)).is_running:
            if time.monotonic() > until or self._closing.wait(POLL_S):
                raise TimeoutError(f"batch {batch_id} is {batch.status}")
        return batch


class _Worker:
    """Answers batches on an event loop of its own."""

    def __init__(
        self, store: BatchStore, uploads: Uploads, dispatch: Dispatch, slots: asyncio.Semaphore
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._dispatch = dispatch
        self._slots = slots
        self._finishing: set[str] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, ready: Callable[[], bool], closing: threading.Event) -> None:
        """Begin."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready, closing)), name="batches", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Look for batches that are new or cancelled, or whether to stop."""
        with suppress(RuntimeError):  # the loop ended
            if self._loop:
                self._loop.call_soon_threadsafe(self._woken.set)

    def join(self) -> None:
        """Wait for the end that ``closing`` asked for."""
        if self._thread:
            self._thread.join()

    async def _serve(self, ready: Callable[[], bool], closing: threading.Event) -> None:
        """Give each batch a task, and stop those that are cancelled."""
        self._loop = asyncio.get_running_loop()
        running: dict[str, asyncio.Task[None]] = {}
        while not closing.is_set():
            is_ready = ready()
            self._woken.clear()
            batches = await asyncio.to_thread(self._store.running) if is_ready else []
            for batch in batches:
                task = running.get(batch.id)
                if task is None or task.done():
                    running[batch.id] = asyncio.create_task(self._run(batch))
                elif batch.status == "cancelling" and batch.id not in self._finishing:
                    task.cancel()  # comes again without a task, and is ended then
                    self._woken.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), IDLE_S if is_ready else POLL_S)
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)

    async def _run(self, batch: Batch) -> None:
        """Answer what is left of a batch, and end it."""
        try:
            with viewed_by(Viewer(batch.owner, sees_all=True)), coming_from(BATCH):
                await self._take_to_end(batch)
        except Exception as error:
            log.exception("batch %s failed", batch.id)
            problem = LineProblem(None, f"the server failed on it: {error}", code="server_error")
            await asyncio.to_thread(self._store.fail, batch.id, [problem.body()])

    async def _take_to_end(self, batch: Batch) -> None:
        try:
            path = self._uploads.find(batch.request.input_file_id).path
        except UnknownFile as error:
            problem = LineProblem(None, error.message, "input_file_id", error.code)
            await asyncio.to_thread(self._store.fail, batch.id, [problem.body()])
            return
        if batch.status == "validating":
            total, problems = await asyncio.to_thread(check_lines, path, batch.request.endpoint)
            if problems:
                bodies = [problem.body() for problem in problems]
                await asyncio.to_thread(self._store.fail, batch.id, bodies)
                return
            await asyncio.to_thread(self._store.begin, batch.id, total)
        status: BatchStatus = "cancelled"
        if batch.status != "cancelling":
            status = "completed"
            try:
                async with asyncio.timeout(max(0, batch.expires - time.time())):
                    await self._answer_all(batch, path)
            except TimeoutError:
                status = "expired"
        self._finishing.add(batch.id)
        try:
            await asyncio.to_thread(self._finish, batch, path, status)
        finally:
            self._finishing.discard(batch.id)

    async def _answer_all(self, batch: Batch, path: Path) -> None:
        done = await asyncio.to_thread(self._store.answered_lines, batch.id)
        results = _Results(self._store, batch.id)
        try:
            async with asyncio.TaskGroup() as group:
                for entry in _requests(batch, path, done):
                    await self._slots.acquire()
                    group.create_task(self._answer(batch, entry, results))
        finally:
            results.write()

    async def _answer(self, batch: Batch, entry: BatchLine, results: "_Results") -> None:
        """Answer one line; for as long as the server is too busy, again. Gives its slot back."""
        try:
            while True:
                reply = await self._dispatch(batch.request.endpoint, entry.body)
                if reply.status not in TRY_AGAIN:
                    break
                await asyncio.sleep(RETRY_S)
        finally:
            self._slots.release()
        await results.add(result_of(batch, entry, reply))

    def _finish(self, batch: Batch, path: Path, status: BatchStatus) -> None:
        """Write the files; killed on the way, a batch gets the same ones at the next start."""
        expires_s = batch.request.output_expires_s
        if status == "expired":
            done = self._store.answered_lines(batch.id)
            message = "the request was not answered within the completion window"
            lines = [
                unanswered(batch, entry, "batch_expired", message)
                for entry in _requests(batch, path, done)
            ]
            self._store.add_results(batch.id, lines)
        ids: list[str | None] = []
        for kind, ok in (("output", True), ("error", False)):
            file_id = f"file-{hashlib.sha256(f'{batch.id} {kind}'.encode()).hexdigest()[:24]}"
            name = f"{batch.id}_{kind}.jsonl"
            lines_of_file = self._store.results(batch.id, ok=ok)
            upload = self._uploads.write(file_id, name, OUTPUT_PURPOSE, lines_of_file, expires_s)
            ids.append(upload.id if upload else None)
        self._store.finish(batch.id, status, (ids[0], ids[1]))


class _Results:
    """Results of a batch on their way to the database: those that come while one write is on its
    way share the next one."""

    def __init__(self, store: BatchStore, batch_id: str) -> None:
        self._store = store
        self._batch_id = batch_id
        self._waiting: list[LineResult] = []
        self._turn = asyncio.Lock()
        self._writing = threading.Lock()

    async def add(self, result: LineResult) -> None:
        """Return once the result is kept."""
        self._waiting.append(result)
        async with self._turn:
            if self._waiting:
                await asyncio.to_thread(self.write)

    def write(self) -> None:
        """Write what waits; return when that, and what another thread writes, is kept."""
        with self._writing:
            results, self._waiting = self._waiting, []
            if results:
                self._store.add_results(self._batch_id, results)


def _requests(batch: Batch, path: Path, done: set[int]) -> Iterator[BatchLine]:
    """Iterate over the requests without a result, which were checked before."""
    named: JsonObject = {"model": batch.request.model} if batch.request.model else {}
    for entry in read_lines(path, batch.request.endpoint):
        if isinstance(entry, BatchLine) and entry.line not in done:
            yield BatchLine(entry.line, entry.custom_id, {**named, **entry.body})


def parse_window(window: str) -> int:
    """Return the seconds of a completion window such as ``24h``. Raises `InvalidRequest`."""
    units: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = window[:-1], window[-1:]
    is_number = number.isascii() and number.isdecimal() and len(number) < 7
    seconds = int(number) * units[unit] if is_number and unit in units else 0
    if not 1 <= seconds <= 7 * units["d"]:
        problem = f"{window!r} is not a time of 1s to 7d, such as 24h"
        raise InvalidRequest("completion_window", problem)
    return seconds
