"""A real PostgreSQL, started for tests by a user of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PORT = "5"  # of a socket in a folder of its own: no other cluster is disturbed
NEEDS_POSTGRESQL = pytest.mark.skipif(
    not PROGRAMS, reason="PostgreSQL is not installed: apt-get install postgresql"
)


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a new cluster: only a socket, no password; yields its URL. PostgreSQL refuses to run as
    root."""
    programs = PROGRAMS[-1].parent
    user = "postgres" if os.getuid() == 0 else ""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        command, quiet = [str(programs / program), *arguments], subprocess.DEVNULL
        subprocess.run(command, user=user or None, cwd=folder, check=True, stdout=quiet, timeout=60)

    options = f"-k {folder} -p {PORT} -c listen_addresses='' -c fsync=off"
    run("initdb", "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
    run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://tester@/postgres?host={folder}&port={PORT}"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)
