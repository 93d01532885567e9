"""Names under which adapters that are not promoted are served.

``JOB.step-N`` is a checkpoint, as is ``NAME.step-N`` of the latest job of a name; ``NAME.vN`` is a
version of the store, ``NAME.unpublished`` the finished adapter of a job. The base may stand before
them, as in ``BASE:NAME.step-N``.
"""

import re

VERSION = re.compile(r"(?P<name>.+)\.(?P<version>v[1-9]\d*)")
CHECKPOINT = re.compile(r"(?P<name>.+)\.step-(?P<step>\d+)")


def checkpoint_name(name: str, step: int | None) -> str:
    """Return the name of a job's checkpoint, or of its finished adapter without a step."""
    return f"{name}.unpublished" if step is None else f"{name}.step-{step}"


def version_name(name: str, version: str) -> str:
    """Return the name of a version in the store."""
    return f"{name}.{version}"


def parse_checkpoint_name(name: str) -> tuple[str, int] | None:
    """Return job name and step of a checkpoint's name; None for any other name."""
    match = CHECKPOINT.fullmatch(name)
    return (match["name"], int(match["step"])) if match else None


def parse_version_name(name: str) -> tuple[str, str] | None:
    """Return adapter and version of a version's name; None for any other name."""
    match = VERSION.fullmatch(name)
    return (match["name"], match["version"]) if match else None
