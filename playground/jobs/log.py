"""A job's log, read as it grows: only the lines that came since the last look are parsed.

A log is a file of JSON objects, one a line (``metrics.jsonl``); ``step`` and ``steps`` in it are
the job's progress. Knows no queue.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from playground.jobs.job import Progress

LOG_FILE = "metrics.jsonl"
LogLine = Mapping[str, float]
TAIL_BYTES = 64
"""How much before the end of what was read must be unchanged for the rest to be a continuation."""
MAX_OPEN_LOGS = 16


class LogReader:
    """The whole lines of one file. A file that was rewritten is read from its start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: tuple[LogLine, ...] = ()
        self._end = 0
        self._tail = b""
        self._size = -1
        self._time = -1

    def read(self) -> tuple[LogLine, ...]:
        """Return all lines so far; none while there is no file. Opens it only if it changed."""
        try:
            stat = self._path.stat()
        except OSError:
            self._restart()
            return ()
        if (stat.st_size, stat.st_mtime_ns) != (self._size, self._time):
            self._read_on()
            self._size, self._time = stat.st_size, stat.st_mtime_ns
        return self._lines

    def _restart(self) -> None:
        self._lines, self._end, self._tail, self._size, self._time = (), 0, b"", -1, -1

    def _read_on(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._end - len(self._tail))
            if file.read(len(self._tail)) != self._tail:
                self._restart()
                file.seek(0)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._lines += tuple(line for text in whole.splitlines() if (line := _parse(text)))
        self._end += len(whole)
        self._tail = (self._tail + whole)[-TAIL_BYTES:]


class LogReaders:
    """The readers of the logs that were looked at last."""

    def __init__(self) -> None:
        self._readers: OrderedDict[Path, LogReader] = OrderedDict()

    def read(self, path: Path) -> tuple[LogLine, ...]:
        """Return a log's lines so far."""
        reader = self._readers.setdefault(path, LogReader(path))
        self._readers.move_to_end(path)
        while len(self._readers) > MAX_OPEN_LOGS:
            self._readers.popitem(last=False)
        return reader.read()


def progress_of(log: tuple[LogLine, ...]) -> Progress:
    """Return how far a job is by its log."""
    last = next((line for line in reversed(log) if "steps" in line), {})
    return Progress(int(last.get("step", 0)), int(last.get("steps", 0)))


def seconds_left_of(log: tuple[LogLine, ...]) -> float | None:
    """Return the last step's estimate."""
    last = next((line for line in reversed(log) if "seconds_left" in line), {})
    return last.get("seconds_left")


def _parse(text: bytes) -> LogLine:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}
