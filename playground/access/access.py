"""The one check: who asks, and whether this path is open to them. Knows no HTTP framework."""

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass, field

from playground.access.fair_use import FairUse
from playground.access.identity import GUEST_OWNERS, LOCAL, Identity, LinkRules
from playground.access.links import DemoLinks
from playground.access.oidc import OidcSignIn, open_oidc
from playground.access.paths import EXPORTS, NAMED_ENDPOINT, area_of
from playground.access.people import People
from playground.access.roles import EVERY_AREA, Area, areas_of_role, areas_of_scopes
from playground.errors import InvalidSettings, LinkClosed, Unauthorized
from playground.settings import AccessSettings, Settings
from playground.store.accounts import Account, Accounts, ApiKey
from playground.store.links import Links

PAGE = "/"
UPLOADS = ("/gradio_api/upload", "/gradio_api/upload_progress")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings: its Authorization header (or a key in ``x-api-key``), the cookies of
    a session that signed in and of the page, and the address that it comes from. ``link`` is the
    token of the link that it came by: nothing else counts then."""

    authorization: str | None = None
    session: str | None = None
    page: str | None = None
    address: str = ""
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Decides who may do what. Without a key and without accounts everybody may do everything.

    ``people`` holds accounts and keys; ``asks`` says whether the page wants people to sign in,
    and ``demo`` whether visitors may use it as guests without. ``fair_use`` knows what is left to
    each client, ``tabs`` are those of guests, ``links`` lead to a part of the demo, ``oidc`` lets a
    provider sign people in.
    """

    api_key: str | None = field(default=None, repr=False)
    people: People | None = None
    asks: bool = False
    demo: bool = False
    fair_use: FairUse | None = None
    tabs: frozenset[str] | None = None
    links: DemoLinks | None = None
    oidc: OidcSignIn | None = None

    @classmethod
    def from_settings(
        cls,
        settings: AccessSettings,
        people: People | None = None,
        links: DemoLinks | None = None,
    ) -> "Access":
        """Return the access that the settings describe; accounts need ``people``.

        Raises `InvalidSettings` for a provider that cannot be asked.
        """
        key = settings.api_key
        asks = people is not None and settings.asks
        demo, tabs = asks and settings.demo, frozenset[str](settings.demo_tabs)
        oidc = open_oidc(settings.oidc, people) if people else None
        secret = key.get_secret_value() if key else None
        return cls(secret, people, asks, demo, tabs=tabs, links=links, oidc=oidc)

    @property
    def needs_key(self) -> bool:
        """True if programs must carry an API key."""
        return self.api_key is not None or self.asks

    def admit(self, method: str, path: str, given: Credentials) -> Identity:
        """Return who asks, if this is open to them; ``path`` is plain (`paths.area_of`).

        Raises `Unauthorized` where it is not known who asks, `LinkClosed` and `Forbidden`.
        """
        area = area_of(method, path)
        try:
            identity = self.identify(given, is_page=path == PAGE)
        except (Unauthorized, LinkClosed):
            if area is Area.PUBLIC:
                return Identity(
                    "nobody", f"address:{given.address}", frozenset({area}), via="visit"
                )
            raise
        if area is not Area.PUBLIC and identity.via == "visit" and _is_for_programs(area, path):
            raise Unauthorized
        identity.require(area)
        return identity

    def identify(self, given: Credentials, *, is_page: bool = False) -> Identity:
        """Return who asks. Raises `Unauthorized` for a wrong key, and for nobody, and `LinkClosed`.

        ``is_page``: it is the page that is asked for, which a visitor may load where the API alone
        has a key.
        """
        if given.link is not None:
            return self._of_link(given.link, given, is_page)
        if not self.needs_key:
            return LOCAL
        scheme, _, key = (given.authorization or "").partition(" ")
        if scheme.lower() == "bearer":  # a proxy's own Basic is none of ours
            return self._of_key(key.strip())
        account = self.people.account_of_session(given.session or "") if self.people else None
        if account is not None and self.asks:
            return self._of_account(account)
        return self._of_visit(given, is_page)

    def new_page_session(self) -> str:
        """Return what the page's own requests carry where nobody signs in, for one browser.

        With an API key it is signed with the key: it outlives a restart and ends when the key
        changes. Whoever loads the page gets one, so it keeps programs out that do not ask for the
        page, no more.
        """
        nonce = secrets.token_hex(16)
        return f"{nonce}.{self._signature(nonce)}"

    def knows_page(self, session: str | None) -> bool:
        """Whether the page gave out this session."""
        nonce, _, signature = (session or "").partition(".")
        return bool(nonce) and secrets.compare_digest(
            signature.encode(), self._signature(nonce).encode()
        )

    def _of_key(self, key: str) -> Identity:
        # Latin-1 is how HTTP headers are decoded; the comparison takes the same time for every key.
        sent, wanted = key.encode("latin-1", "replace"), (self.api_key or "").encode()
        if self.api_key and secrets.compare_digest(sent, wanted):
            return Identity("the API key", "key:settings", via="key")
        found = self.people.owner_of_key(key) if self.people else None
        if found is None:
            raise Unauthorized
        return _of_stored_key(*found)

    def _of_visit(self, given: Credentials, is_page: bool) -> Identity:
        known = self.knows_page(given.page)
        if self.asks and not self.demo:
            raise Unauthorized
        if self.demo:
            owner = hashlib.sha256((given.page or given.address).encode()).hexdigest()[:24]
            return Identity(
                "a guest", f"address:{given.address}", areas_of_role("guest"), GUEST_OWNERS + owner,
                "guest", "visit", self.tabs,
            )  # fmt: skip
        if known or is_page:
            return Identity("the page", f"address:{given.address}", EVERY_AREA, via="visit")
        raise Unauthorized

    def _of_link(self, token: str, given: Credentials, is_page: bool) -> Identity:
        """A guest of the link, whatever key or session they bring."""
        if self.links is None or not self.asks:
            raise LinkClosed("this server has no links: nobody signs in here")
        link = self.links.opened(token, anew=is_page)
        visitor = f"{link.id} {given.page or given.address}"
        owner = GUEST_OWNERS + hashlib.sha256(visitor.encode()).hexdigest()[:24]
        rules = LinkRules(link.id, link.models, link.system_prompt)
        return Identity(
            "a guest", f"address:{given.address}", areas_of_role("guest"), owner, "guest", "visit",
            frozenset({link.tab}), rules,
        )  # fmt: skip

    def _of_account(self, account: Account) -> Identity:
        areas, client = areas_of_role(account.role), f"account:{account.id}"
        tabs = self.tabs if account.role == "guest" else None
        return Identity(account.name, client, areas, account.id, account.role, "session", tabs)

    def _signature(self, nonce: str) -> str:
        key = (self.api_key or "").encode()
        return hmac.new(key, f"page {nonce}".encode(), hashlib.sha256).hexdigest()


def open_access(settings: Settings) -> Access:
    """Return the access of this home, with its accounts and keys; close its ``people``.

    Raises `InvalidSettings` where the server would be open to a network by mistake.
    """
    check_exposure(settings)
    chosen = settings.access
    accounts = Accounts(settings.home, settings.store.url)
    people = People(accounts, chosen.session_hours)
    if chosen.password is not None:
        people.ensure_admin(chosen.password.get_secret_value())
    links = DemoLinks(Links(settings.home, settings.store.url), accounts)
    return Access.from_settings(chosen, people, links)


def check_exposure(settings: Settings) -> None:
    """Raises `InvalidSettings` if the server listens to a network and asks nobody who they are."""
    chosen, host = settings.access, settings.server.host
    if chosen.asks or chosen.open or _is_loopback(host):
        return
    key = "; --api-key guards /v1, not the page" if chosen.api_key else ""
    raise InvalidSettings(
        f"server.host: everybody who reaches {host} could use this page, run its tools and delete "
        f"its jobs{key}. Add --password PASSWORD (or --accounts) so that people sign in, --demo to "
        "let visitors chat as guests, or --open if that is meant"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_for_programs(area: Area, path: str) -> bool:
    if NAMED_ENDPOINT.fullmatch(path):
        return True
    return not (area is Area.PAGE or path in UPLOADS or EXPORTS.fullmatch(path))


def _of_stored_key(key: ApiKey, account: Account | None) -> Identity:
    areas = areas_of_scopes(key.scopes)
    if account is not None:
        areas &= areas_of_role(account.role)
    owner = account.id if account else key.id
    role = "guest" if account and account.role == "guest" else ""
    return Identity(
        f"key {key.name}", f"key:{key.id}", areas, owner, role, "key", payers=(account, key)
    )
