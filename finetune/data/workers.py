"""Prepares batches of records in this process, or in several processes that are started for it.

Each worker process has a pipe of its own and ends when that is closed, as it is when this process
dies. Knows batches; knows no file.
"""

import gc
import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection

from finetune.data.batch import BatchWorker, PreparedBatch, RecordBatch
from playground.errors import RequestFailed
from playground.models.tokenizer import ChatTokenizer

MAX_WORKERS = 3
"""A worker takes some 130 MB; all of preparing stays below 1 GiB."""
Prepared = Iterator[tuple[RecordBatch, PreparedBatch]]


def num_workers() -> int:
    """Return how many worker processes are worth their memory here."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


def prepare_here(
    batches: Iterator[RecordBatch],
    tokenizer: ChatTokenizer,
    columns: Mapping[str, str],
    before_row: Callable[[], None] | None = None,
) -> Prepared:
    """Prepare batches in this process; ``before_row`` is called before each record, and may
    raise."""
    worker = BatchWorker(tokenizer, columns, before_row)
    for batch in batches:
        yield batch, worker.prepare(batch)


def prepare_in_processes(
    batches: Iterator[RecordBatch],
    tokenizer: bytes,
    columns: Mapping[str, str],
    workers: int,
) -> Prepared:
    """Prepare batches in so many processes; each has one batch at a time, and the pickled
    tokenizer.

    Raises `RequestFailed` if a process ends before its work.
    """
    context = get_context("spawn")
    pipes: deque[Connection] = deque()
    waiting: deque[tuple[Connection, RecordBatch]] = deque()
    try:
        for _ in range(workers):
            here, there = context.Pipe()
            arguments = (there, tokenizer, dict(columns))
            context.Process(target=_work, args=arguments, daemon=True).start()
            there.close()
            pipes.append(here)
        for batch in batches:
            if not pipes:
                pipe, sent = waiting.popleft()
                prepared = _received(pipe)
                pipe.send(batch)
                waiting.append((pipe, replace(batch, records=())))
                yield sent, prepared
                continue
            pipe = pipes.popleft()
            pipe.send(batch)
            waiting.append((pipe, replace(batch, records=())))
        while waiting:
            pipe, sent = waiting.popleft()
            pipes.append(pipe)
            yield sent, _received(pipe)
    finally:
        for pipe in (*pipes, *(pipe for pipe, _ in waiting)):
            pipe.close()


def _received(pipe: Connection) -> PreparedBatch:
    try:
        prepared: PreparedBatch = pipe.recv()
    except EOFError:
        raise RequestFailed("a process that checks rows has ended") from None
    return prepared


def _work(pipe: Connection, pickled: bytes, columns: Mapping[str, str]) -> None:
    """Prepare batches until the pipe is closed: the whole life of a worker process.

    transformers' tokenizers do without torch, which would take each worker 290 MB and two seconds.
    """
    sys.modules["torch"] = None  # type: ignore[assignment]
    tokenizer: ChatTokenizer = pickle.loads(pickled)
    gc.freeze()
    tokenizer.remember_words()
    worker = BatchWorker(tokenizer, columns)
    while True:
        try:
            batch: RecordBatch = pipe.recv()
            pipe.send(worker.prepare(batch))
        except (EOFError, BrokenPipeError, KeyboardInterrupt):
            return
