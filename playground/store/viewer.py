"""For whom the store is read and written: what people make is theirs, and they see only that.

A face sets the viewer of a request or an event; what runs without one (jobs, commands, a server
that asks nobody) sees everything. Knows no account, no role and no HTTP.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: ``owner`` is what is written on the things they make, empty for nobody's.

    ``sees_all`` is true for administrators and for the server itself.
    """

    owner: str = ""
    sees_all: bool = True


EVERYTHING: Final = Viewer()
_viewer: ContextVar[Viewer] = ContextVar("viewer", default=EVERYTHING)


def current_viewer() -> Viewer:
    """Return whose request runs here."""
    return _viewer.get()


def current_owner() -> str:
    """Return whose things are made here, empty for nobody's."""
    return _viewer.get().owner


def may_see(owner: str, *, shared: bool = False) -> bool:
    """Whether the current viewer may see, change and delete what belongs to ``owner``."""
    viewer = _viewer.get()
    return viewer.sees_all or shared or (bool(owner) and owner == viewer.owner)


@contextmanager
def viewed_by(viewer: Viewer) -> Iterator[None]:
    """Read and write for this viewer inside."""
    token = _viewer.set(viewer)
    try:
        yield
    finally:
        _viewer.reset(token)
