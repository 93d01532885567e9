"""Where a request comes from, for whoever counts answers: a tab, an endpoint or a job, and by which
API key. A face sets it around what it asks; no backend reads it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Origin:
    """``source`` is a tab (``chat``), an endpoint (``/v1/responses``) or a kind of job
    (``sweep``); ``key`` the id of the API key, empty without one."""

    source: str = ""
    key: str = ""


UNKNOWN: Final = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=UNKNOWN)


def current_origin() -> Origin:
    """Return where what is asked here comes from."""
    return _origin.get()


@contextmanager
def coming_from(source: str, key: str = "") -> Iterator[None]:
    """Ask as this source inside."""
    token = _origin.set(Origin(source, key))
    try:
        yield
    finally:
        _origin.reset(token)
