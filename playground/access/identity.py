"""Who asks: what a request or an event of the page may use, and whose the things are it makes.

Knows no HTTP and no database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from playground.access.roles import EVERY_AREA, Area
from playground.errors import Forbidden, Unauthorized
from playground.protocol.origin import coming_from
from playground.settings.sections import DemoTab
from playground.store.accounts import Account, ApiKey
from playground.store.viewer import Viewer, viewed_by

TABS: Final = frozenset(get_args(DemoTab))
"""Tabs that a demo may leave out, by the rooms of their handlers."""
GUEST_OWNERS: Final = "guest_"
"""How the owners of what mere visitors make begin."""
Via = Literal["local", "key", "session", "visit"]
"""How it is known: nobody is asked, an API key, a session that signed in, a mere visit."""


@dataclass(frozen=True, slots=True)
class LinkRules:
    """What the link that a guest came by opens: these models, in this order; under this system
    prompt, None for the demo's own."""

    id: str
    models: tuple[str, ...]
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. ``name`` is for people; ``client`` is whom limits count; ``owner`` is written on
    what they make, empty for the server's own. ``signed_in`` is false for a visit. ``tabs`` are
    those that are open to a guest, None for all of their areas; ``link`` is what they came by.
    ``payers`` are the account and the key as they were found with this request, None where they
    have to be looked for."""

    name: str
    client: str
    areas: frozenset[Area] = EVERY_AREA
    owner: str = ""
    role: str = "admin"
    via: Via = "local"
    tabs: frozenset[str] | None = None
    link: LinkRules | None = None
    payers: tuple[Account | None, ApiKey | None] | None = field(
        default=None, compare=False, repr=False
    )

    @property
    def signed_in(self) -> bool:
        """Whether it is known who this is."""
        return self.via != "visit"

    @property
    def is_guest(self) -> bool:
        """Whether the rules of a demo hold for them."""
        return self.role == "guest"

    @property
    def keeps_history(self) -> bool:
        """Whether what they write and are answered is kept here; a guest's is in their browser."""
        return Area.FILES in self.areas or self.via == "key"

    @property
    def viewer(self) -> Viewer:
        """For whom the store is read."""
        return Viewer(self.owner, sees_all=Area.ADMIN in self.areas)

    @property
    def key(self) -> str:
        """The id of the API key that was used, or of the link; empty without one."""
        if self.link:
            return f"link_{self.link.id}"
        return self.client.removeprefix("key:") if self.via == "key" else ""

    def may_use(self, area: Area) -> bool:
        """Whether the area is open to them."""
        return area in self.areas

    def sees(self, area: Area, tab: str) -> bool:
        """Whether a tab of that area is open to them."""
        return area in self.areas and (self.tabs is None or tab not in TABS or tab in self.tabs)

    def require(self, area: Area, tab: str = "") -> None:
        """Raises `Forbidden` for an area or a tab that is not open to them, `Unauthorized` where
        signing in might help."""
        if self.sees(area, tab):
            return
        if self.link:
            raise Forbidden("this link does not open that")
        if not self.signed_in:
            raise Unauthorized("sign in to use this")
        if area in self.areas:
            raise Forbidden(f"the tab {tab} is not open to guests")
        what = f"an API key without the scope {area.value}" if self.via == "key" else self.role
        raise Forbidden(f"{self.name} ({what}) may not use this; it takes {_takes(area)}")


LOCAL: Final = Identity("this machine", "local")
"""Whoever uses a server that asks nobody."""
_current: ContextVar[Identity] = ContextVar("identity", default=LOCAL)


def current_identity() -> Identity:
    """Return who asks, here."""
    return _current.get()


@contextmanager
def acting_as(identity: Identity, source: str = "") -> Iterator[None]:
    """Answer for this one inside: limits count for them, the store shows what is theirs, and their
    usage is that of ``source``, a tab or an endpoint."""
    token = _current.set(identity)
    try:
        with viewed_by(identity.viewer), coming_from(source, identity.key):
            yield
    finally:
        _current.reset(token)


def _takes(area: Area) -> str:
    match area:
        case Area.FINE_TUNE:
            return "the role trainer"
        case Area.ADMIN:
            return "the role admin"
        case _:
            return "the role user"
