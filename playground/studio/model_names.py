"""Names under which adapters that are not promoted are served.

``NAME.step-N`` is a checkpoint, ``NAME.vN`` a version of the store, ``NAME.unpublished`` the
finished adapter of a job; with the base before them as in ``BASE:NAME.step-N``.
"""

import re

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
