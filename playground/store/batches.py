"""Batches of requests, and the results of those that run. Knows the database; knows no HTTP, no
model and no file.

A result is kept once for its line, whoever brings it again, so that a batch which goes on after a
kill answers no line twice.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from playground.errors import UnknownBatch
from playground.store.database import Database
from playground.store.tables import BatchResult, StoredBatch

BatchStatus = Literal[
    "validating", "failed", "in_progress", "completed", "expired", "cancelling", "cancelled"
]
RUNNING: tuple[BatchStatus, ...] = ("validating", "in_progress", "cancelling")
ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch to be done: which requests, within how many seconds, and how long its output stays
    (None for ever). ``window`` is the time as the client wrote it."""

    endpoint: str
    input_file_id: str
    window: str
    window_s: int
    labels: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    output_expires_s: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stands. ``times`` are in seconds since the epoch, by state; ``problems`` are
    OpenAI's error objects; ``usage`` is summed up over the answers;
    ``owner`` is whose it is."""

    id: str
    status: BatchStatus
    created: int
    request: NewBatch
    output_file_id: str | None
    error_file_id: str | None
    times: Mapping[str, int]
    problems: Sequence[Mapping[str, object]]
    total: int
    completed: int
    failed: int
    usage: Mapping[str, int]
    owner: str = ""

    @property
    def expires(self) -> int:
        """When what is not answered by then is given up."""
        return self.created + self.request.window_s

    @property
    def is_running(self) -> bool:
        """Whether it has not come to an end."""
        return self.status in RUNNING


@dataclass(frozen=True, slots=True)
class LineResult:
    """What one line of the input gave: the line of the output file, or of the error file."""

    line: int
    ok: bool
    text: str
    usage: Mapping[str, int] = field(default_factory=dict)


class BatchStore:
    """The batches of one home. May be used from any thread."""

    def __init__(self, home: Path, url: str = "") -> None:
        self._database = Database(home, url)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def create(self, new: NewBatch) -> Batch:
        """Keep a batch, which is ``validating``."""
        with self._database.writing() as session:
            row = StoredBatch(
                id=f"batch_{uuid.uuid4().hex[:24]}",
                status="validating",
                endpoint=new.endpoint,
                input_file_id=new.input_file_id,
                window=new.window,
                window_s=new.window_s,
                labels=dict(new.labels),
                model=new.model,
                output_expires_s=new.output_expires_s,
                times={"created": int(time.time())},
            )
            session.add(row)
            session.flush()
            return _batch(row)

    def find(self, batch_id: str) -> Batch:
        """Return a batch. Raises `UnknownBatch`."""
        with self._database.reading() as session:
            return _batch(_row(session, batch_id))

    def all(self) -> list[Batch]:
        """Return all batches, the latest first."""
        with self._database.reading() as session:
            rows = session.scalars(select(StoredBatch).order_by(StoredBatch.number.desc()))
            return [_batch(row) for row in rows]

    def running(self) -> list[Batch]:
        """Return those that have not come to an end, the earliest first."""
        with self._database.reading() as session:
            wanted = select(StoredBatch).where(StoredBatch.status.in_(RUNNING))
            return [_batch(row) for row in session.scalars(wanted.order_by(StoredBatch.number))]

    def begin(self, batch_id: str, total: int) -> None:
        """Say that its requests are checked and how many there are."""
        self._change(batch_id, "validating", "in_progress", total=total)

    def cancel(self, batch_id: str) -> bool:
        """Ask for its end; False if it has come to one, or is asked already."""
        with self._database.writing() as session:
            row = _row(session, batch_id)
            if row.status not in ("validating", "in_progress"):
                return False
            _enter(row, "cancelling")
            return True

    def fail(self, batch_id: str, problems: Sequence[Mapping[str, object]]) -> None:
        """End it without any answer."""
        with self._database.writing() as session:
            row = _row(session, batch_id)
            row.problems = [dict(problem) for problem in problems]
            _enter(row, "failed")
            session.execute(delete(BatchResult).where(BatchResult.batch_number == row.number))

    def add_results(self, batch_id: str, results: Sequence[LineResult]) -> None:
        """Keep results in one write; those of lines that have one already are dropped."""
        with self._database.writing() as session:
            row = _row(session, batch_id)
            usage = dict(row.usage)
            for result in results:
                added = session.execute(
                    insert(BatchResult)
                    .values(
                        batch_number=row.number, line=result.line, ok=result.ok, text=result.text
                    )
                    .on_conflict_do_nothing()
                    .returning(BatchResult.line)
                ).all()
                if not added:
                    continue
                row.completed += result.ok
                row.failed += not result.ok
                for name, count in result.usage.items():
                    usage[name] = usage.get(name, 0) + count
            row.usage = usage

    def answered_lines(self, batch_id: str) -> set[int]:
        """Return the lines that have a result."""
        with self._database.reading() as session:
            number = _row(session, batch_id).number
            wanted = select(BatchResult.line).where(BatchResult.batch_number == number)
            return set(session.scalars(wanted))

    def results(self, batch_id: str, *, ok: bool) -> Iterator[str]:
        """Iterate over the lines of output, or of errors, in the order of the input."""
        with self._database.reading() as session:
            number = _row(session, batch_id).number
            wanted = (
                select(BatchResult.text)
                .where(BatchResult.batch_number == number, BatchResult.ok == ok)
                .order_by(BatchResult.line)
                .execution_options(yield_per=ROWS_AT_ONCE)
            )
            yield from session.scalars(wanted)

    def finish(
        self,
        batch_id: str,
        status: BatchStatus,
        files: tuple[str | None, str | None],
    ) -> None:
        """End it with its files of output and of errors, and drop its results, at once."""
        with self._database.writing() as session:
            row = _row(session, batch_id)
            row.output_file_id, row.error_file_id = files
            _enter(row, status)
            session.execute(delete(BatchResult).where(BatchResult.batch_number == row.number))

    def _change(self, batch_id: str, before: BatchStatus, after: BatchStatus, total: int) -> None:
        with self._database.writing() as session:
            row = _row(session, batch_id)
            row.total = total
            if row.status == before:  # it may have been cancelled meanwhile
                _enter(row, after)


def _enter(row: StoredBatch, status: BatchStatus) -> None:
    row.status = status
    row.times = {**row.times, status: int(time.time())}


def _row(session: Session, batch_id: str) -> StoredBatch:
    found = session.scalar(select(StoredBatch).where(StoredBatch.id == batch_id))
    if found is None:
        raise UnknownBatch(batch_id)
    return found


def _batch(row: StoredBatch) -> Batch:
    request = NewBatch(
        row.endpoint,
        row.input_file_id,
        row.window,
        row.window_s,
        row.labels,
        row.model,
        row.output_expires_s,
    )
    return Batch(
        id=row.id,
        status=row.status,  # type: ignore[arg-type]  # written by this module only
        created=row.times["created"],
        request=request,
        output_file_id=row.output_file_id,
        error_file_id=row.error_file_id,
        times=row.times,
        problems=row.problems,
        total=row.total,
        completed=row.completed,
        failed=row.failed,
        usage=row.usage,
        owner=row.owner,
    )
