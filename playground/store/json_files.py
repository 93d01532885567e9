"""JSON objects on disk. Knows no schema; writes are atomic (`playground.files`)."""

import json
from collections.abc import Mapping
from pathlib import Path

from playground.files import write_atomic

StoredObject = dict[str, object]
"""A JSON object of a file, whose values nobody has checked yet."""


def read_json_object(path: Path) -> StoredObject:
    """Return the object in a file; empty if the file is missing, damaged or no JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json_object(path: Path, value: Mapping[str, object]) -> None:
    """Write an object, replacing the file at once."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
