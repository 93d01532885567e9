"""Atomic writes: a reader, or a process that starts after a kill, sees all of a file or none of it.

Knows no format. Every file and folder under ``PLAYGROUND_HOME`` is written through here.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``, text as UTF-8; what was there before is replaced at once.

    The parent folder is made if need be. Raises `OSError`; ``path`` is untouched then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def modified_s(path: Path) -> int:
    """Return when a file was last changed, in seconds since the epoch; 0 if there is none."""
    try:
        return int(path.stat().st_mtime)
    except OSError:
        return 0


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes ``target`` when the block ends without an error.

    Raises `FileExistsError` if ``target`` exists by then; nothing is left of the new folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(target)
    temporary.mkdir()
    try:
        yield temporary
        if target.exists():
            raise FileExistsError(f"{target} exists already")
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """A hidden name beside ``path``, on the same file system and used by nobody else."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
