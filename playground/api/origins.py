"""From whose page a request comes: a browser sends what a page of anybody asks it to, with cookies.

Two ways in are closed here. A page of another origin may send forms and files (CSRF). And it may
let its own name point at this machine, which makes it the same origin (DNS rebinding): so a server
that asks nobody who they are answers to the names of its own machine alone. Knows no path.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from playground.access import Identity
from playground.errors import Forbidden
from playground.settings import Settings

READS = ("GET", "HEAD", "OPTIONS")
SAME = ("same-origin", "none")
ANY = "*"


@dataclass(frozen=True, slots=True)
class Origins:
    """``allowed`` may call the API from their pages (CORS), ``hosts`` are names of this server;
    None if it answers to every name."""

    allowed: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Origins":
        """Return what the settings allow: every name where people sign in, or by ``--open``."""
        server, access = settings.server, settings.access
        is_bound = not access.asks and not access.open
        return cls(server.cors_origins, server.allowed_hosts if is_bound else None)

    def check(self, scope: Scope, identity: Identity) -> None:
        """Raises `Forbidden` for what another site's page sent with this browser's rights. An API
        key is none of them: whoever sends it means it."""
        if identity.via == "key":
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and not _is_here(_name(host), self.hosts):
            raise Forbidden(
                f"this server asks nobody who they are, so it answers to the names of its own "
                f"machine, not to {_name(host)!r}; add --allowed-host {_name(host)}, or --password"
            )
        if scope["method"] in READS or (identity.via == "local" and self._is_allowed(headers)):
            return
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        # Browsers send the first over HTTPS and to this machine only, and older ones never.
        if site is not None:
            is_foreign = site not in SAME
        else:
            own = [name for name in (host, headers.get("x-forwarded-host")) if name]
            is_foreign = origin is not None and urlsplit(origin).netloc not in own
        if is_foreign:
            raise Forbidden("this request comes from a page of another origin")

    def _is_allowed(self, headers: Headers) -> bool:
        return ANY in self.allowed or headers.get("origin") in self.allowed


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_here(name: str, hosts: tuple[str, ...]) -> bool:
    """Whether a name is one of ours. An address is no name that somebody could point elsewhere."""
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    if any(name == host.lower().rstrip(".") for host in hosts):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
