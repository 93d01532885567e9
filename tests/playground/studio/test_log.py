"""A log is read as it grows, and from its start once it was rewritten."""

import json
from pathlib import Path

import pytest

from playground.jobs.job import Progress
from playground.jobs.log import MAX_OPEN_LOGS, LogReader, LogReaders, progress_of


def line(step: int) -> str:
    return json.dumps({"step": step, "steps": 9, "loss": 1 / step}) + "\n"


def test_log_reader_reads_appended_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = LogReader(path)
    assert reader.read() == ()
    path.write_text(line(1) + line(2)[:9])  # the second is still being written
    assert [log["step"] for log in reader.read()] == [1]
    with path.open("a") as file:
        file.write(line(2)[9:] + "broken\n" + line(3))
    assert [log["step"] for log in reader.read()] == [1, 2, 3]
    assert progress_of(reader.read()) == Progress(3, 9)
    path.unlink()
    assert reader.read() == ()


@pytest.mark.parametrize("appended", [0, 1, 40])
def test_log_reader_restarts_after_rewrite(tmp_path: Path, appended: int) -> None:
    """A resumed run drops the lines that it repeats, in the same file."""
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(map(line, range(1, 9))))
    reader = LogReader(path)
    assert len(reader.read()) == 8
    steps = [1, 2, *range(30, 30 + appended)]
    path.write_text("".join(map(line, steps)))
    assert [log["step"] for log in reader.read()] == steps


def test_log_readers_are_bounded(tmp_path: Path) -> None:
    readers = LogReaders()
    for number in range(MAX_OPEN_LOGS + 5):
        path = tmp_path / str(number)
        path.write_text(line(1))
        assert len(readers.read(path)) == 1
    assert len(readers._readers) == MAX_OPEN_LOGS
