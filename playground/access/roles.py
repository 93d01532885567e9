"""Roles of accounts and scopes of API keys, and the areas of the server that each opens.

Knows no path, no account and no HTTP.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal, get_args

Role = Literal["guest", "user", "trainer", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


class Area(Enum):
    """A part of the server; the value of most is also the scope of a key that opens it."""

    PUBLIC = "public"
    """Asked of nobody: signing in, whether the server is up."""
    PAGE = "page"
    """What the page itself is made of."""
    CHAT = "chat"
    """Answers of models, and what it takes to ask for them."""
    FILES = "files"
    """What people keep: files, batches, conversations, prompts, votes, sweeps. Tools that run."""
    FINE_TUNE = "fine-tune"
    """Training jobs, adapters and their exports."""
    ADMIN = "admin"
    """Accounts, keys, the audit log, and everything that nobody else was given."""


SCOPES: Final = (Area.CHAT, Area.FILES, Area.FINE_TUNE, Area.ADMIN)
EVERY_AREA: Final = frozenset(Area)
_OF_ROLES: Mapping[Role, frozenset[Area]] = MappingProxyType(
    {
        "guest": frozenset({Area.PUBLIC, Area.PAGE, Area.CHAT}),
        "user": frozenset({Area.PUBLIC, Area.PAGE, Area.CHAT, Area.FILES}),
        "trainer": EVERY_AREA - {Area.ADMIN},
        "admin": EVERY_AREA,
    }
)


def areas_of_role(role: str) -> frozenset[Area]:
    """Return what an account of this role may use; nothing but what is public for no role."""
    return next(
        (areas for name, areas in _OF_ROLES.items() if name == role), frozenset({Area.PUBLIC})
    )


def areas_of_scopes(scopes: Iterable[str]) -> frozenset[Area]:
    """Return what a key of these scopes opens; ``admin`` opens everything."""
    named = frozenset(area for area in SCOPES if area.value in tuple(scopes))
    return EVERY_AREA if Area.ADMIN in named else named | {Area.PUBLIC, Area.PAGE}
