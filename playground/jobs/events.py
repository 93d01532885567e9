"""A job's events: what happened to it, and when, in ``events.jsonl`` in its folder.

Lines are only ever appended, so that an event keeps its place. Knows no queue.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

EVENTS_FILE = "events.jsonl"
Level = Literal["info", "warn", "error"]
Event = Mapping[str, object]
"""``time_s`` since the epoch, ``level`` and ``message``."""


def record_event(folder: Path, message: str, level: Level = "info") -> None:
    """Append an event; a job whose folder is gone has no more of them."""
    event = {"time_s": time.time(), "level": level, "message": message}
    try:
        with (folder / EVENTS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
    except FileNotFoundError:
        return
