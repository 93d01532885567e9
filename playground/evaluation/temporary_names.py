"""Names under which adapters are served, unlisted, while their report card is made."""

import re
import uuid

NAME = re.compile(r"(.+:)?report-card-[0-9a-f]{12}")


def temporary_name() -> str:
    """Return a fresh name."""
    return f"report-card-{uuid.uuid4().hex[:12]}"


def is_temporary_name(model: str) -> bool:
    """Return whether a model, with or without its base, has such a name."""
    return NAME.fullmatch(model) is not None
