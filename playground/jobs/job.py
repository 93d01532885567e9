"""One job's record: what was asked, and where it stands, kept as ``state.json`` in its folder.

Knows no queue, no thread and no kind of job.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from playground.store.json_files import StoredObject, read_json_object, write_json_object

State = Literal["queued", "running", "paused", "stopped", "failed", "done"]
STATE_FILE = "state.json"


class Progress(NamedTuple):
    """Steps done, and steps in all; zeros before the first log line."""

    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the queue last wrote it.

    ``input`` is what the kind was asked beside the files that it put into the folder, ``result``
    what came of it; both are the kind's own. ``message`` says why it failed, ``notes`` what was
    changed or found on the way, ``owner`` whose it is. Times are in seconds since the epoch.
    """

    folder: Path
    kind: str
    name: str
    state: State
    input: Mapping[str, object] = field(default_factory=dict)
    result: Mapping[str, object] = field(default_factory=dict)
    phase: str = ""
    message: str = ""
    notes: tuple[str, ...] = ()
    progress: Progress = field(default_factory=Progress)
    created_s: float = 0.0
    queued_s: float = 0.0
    ended_s: float | None = None
    owner: str = ""

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name


def read_job(folder: Path) -> Job | None:
    """Return the job in a folder; None where there is no record, or a damaged one."""
    body = read_json_object(folder / STATE_FILE)
    if body.get("state") not in get_args(State):
        return None
    try:
        return Job(folder=folder, **_fields(body))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def write_job(job: Job) -> None:
    """Keep a job's record in its folder, which exists."""
    body = {key: value for key, value in asdict(job).items() if key != "folder"}
    write_json_object(job.folder / STATE_FILE, body)


def _fields(body: StoredObject) -> StoredObject:
    """JSON has no tuples."""
    notes = tuple(cast("list[str]", body.get("notes", ())))
    progress = Progress(*cast("list[int]", body.get("progress", ())))
    return body | {"notes": notes, "progress": progress}
