"""`OidcSignIn`: lets whom a provider of OpenID Connect knows sign in to an account here.

A subject is linked to an account once, by issuer and subject; names are looked at only then. Knows
no HTTP framework; the provider is asked by `playground.access.oidc_provider`.
"""

import hmac
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from limits import RateLimitItem, parse

from playground.access.claims import value_at
from playground.access.people import NAME, People
from playground.access.roles import ROLES
from playground.access.secrets import digest_of, new_token
from playground.errors import (
    Conflict,
    InvalidSettings,
    LimitReached,
    ProviderUnavailable,
    SignInRefused,
)
from playground.settings import OidcSettings
from playground.settings.oidc import NO_ROLE
from playground.store.accounts import Account
from playground.store.identities import BegunSignIn

if TYPE_CHECKING:
    from playground.access.oidc_provider import Provider

SIGN_IN_S: Final = 600.0
"""Time that somebody has to sign in at the provider, in seconds."""
ATTEMPTS: Final[RateLimitItem] = parse("60 per minute")
AT_ONCE: Final = 8
"""Sign-ins that ask the provider at the same time: a slow one must not hold every thread."""
LONGEST: Final = 200
LONGEST_SUBJECT: Final = 255
ERRORS: Final = frozenset(
    ("access_denied", "login_required", "consent_required", "interaction_required",
     "account_selection_required", "unauthorized_client", "invalid_request", "invalid_scope",
     "unsupported_response_type", "server_error", "temporarily_unavailable")
)  # fmt: skip
"""What a provider may send back in the place of a code; any other word may be a stranger's."""
AGAIN: Final = (
    "this sign-in was not begun in this browser, took too long or was used; sign in again"
)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and what its cookie has to hold when it comes back."""

    url: str
    browser: str


class OidcSignIn:
    """Signing in with one provider. May be used from any thread, and by several processes."""

    def __init__(self, settings: OidcSettings, provider: "Provider", people: People) -> None:
        self._settings = settings
        self._provider = provider
        self._people = people
        self._identities = people.identities
        self._free = threading.BoundedSemaphore(AT_ONCE)

    @property
    def name(self) -> str:
        """What the provider is called on the page."""
        return self._settings.name

    @property
    def issuer(self) -> str:
        """Under which name subjects of the provider are kept."""
        return str(self._settings.issuer).rstrip("/")

    @property
    def only(self) -> bool:
        """Whether nobody signs in by a password."""
        return self._settings.only

    @property
    def redirect_uri(self) -> str | None:
        """The address that the provider sends browsers back to, if the settings name it."""
        return self._settings.redirect_uri

    def begin(self, redirect_uri: str, address: str = "") -> Begun:
        """Return where a browser signs in. Raises `ProviderUnavailable`, and `LimitReached` after
        too many attempts of one address."""
        self._count(address)
        state, nonce, verifier, browser = (new_token() for _ in range(4))
        with self._asking():
            url = self._provider.authorization_url(
                redirect_uri=redirect_uri, state=state, nonce=nonce, verifier=verifier
            )
        expires = time.time() + SIGN_IN_S
        self._identities.begin(
            BegunSignIn(
                digest_of(state), digest_of(browser), nonce, verifier, redirect_uri, expires
            )
        )
        return Begun(url, browser)

    def sign_out_url(self, address: str = "") -> str:
        """Return where a browser signs out at the provider, which otherwise lets it in again at
        once. Raises `ProviderUnavailable`, also where it has no such address, and `LimitReached`.
        """
        self._count(address)
        with self._asking():
            url = self._provider.sign_out_url()
        if url is None:
            raise ProviderUnavailable(f"{self.name} names no address to sign out at; go there")
        return url

    def finish(self, query: Mapping[str, str], browser: str, address: str = "") -> str:
        """Return the token of a new session for a browser that came back with ``query``.

        Raises `SignInRefused` where state, token or account do not let it in, `ProviderUnavailable`
        and `LimitReached`.
        """
        self._count(address)
        begun = self._identities.take(digest_of(query.get("state", "")))
        if begun is None or not hmac.compare_digest(begun.browser, digest_of(browser)):
            error = query.get("error")
            if error in ERRORS:  # some send no state with it
                raise SignInRefused(f"{self.name} did not let you in ({error}); sign in again")
            raise SignInRefused(AGAIN)
        claims: Mapping[str, Any] = {}
        try:
            with self._asking():
                self._check_answer(query)
                claims = self._provider.claims(
                    query["code"],
                    redirect_uri=begun.redirect_uri,
                    nonce=begun.nonce,
                    verifier=begun.verifier,
                )
            account = self._account(claims)
        except SignInRefused as refused:
            who = self._shown_name(claims)
            self._people.note(who, "sign-in refused", f"{self.name}: {refused.message} {address}")
            raise
        self._people.note(account.name, "signed in", f"{self.name} {address}")
        return self._people.begin_session(account)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask the provider inside, with few others."""
        if not self._free.acquire(blocking=False):
            raise LimitReached(f"many people sign in with {self.name}; try again in a moment", 2)
        try:
            yield
        finally:
            self._free.release()

    def _count(self, address: str) -> None:
        if not self._people.attempts.hit(ATTEMPTS, f"oidc:{address}"):
            raise LimitReached("too many attempts to sign in; wait a minute", 60)

    def _check_answer(self, query: Mapping[str, str]) -> None:
        """Refuse an answer of another provider, an error, and one without a code."""
        issuer = query.get("iss")
        if issuer is not None and issuer != self._provider.issuer:
            raise SignInRefused(f"the answer is not of {self.name}; sign in again")
        if error := query.get("error"):
            said = query.get("error_description") or error
            said = "".join(letter for letter in said if letter.isprintable())
            raise SignInRefused(f"{self.name} did not let you in: {said[:LONGEST].rstrip('.')}")
        if not query.get("code"):
            raise SignInRefused(f"{self.name} sent no code; sign in again")

    def _account(self, claims: Mapping[str, Any]) -> Account:
        self._check_email(claims)
        role = self._role(claims)
        subject = str(claims["sub"])
        if not 1 <= len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise SignInRefused(f"{self.name} has no name for you that can be kept")
        linked = self._identities.account_of(self.issuer, subject)
        account = self._people.find(linked) if linked else None
        if account is None:
            account = self._link(self._name(claims), role, subject)
        if account.disabled:
            raise SignInRefused(f"the account {account.name} is disabled")
        if role is not None and account.role != role:
            account = self._with_role(account, role)
        return account

    def _link(self, name: str, role: str | None, subject: str) -> Account:
        """Return the account of somebody who signs in with the provider for the first time: never
        one that has a password, or is somebody else's."""
        account = next((each for each in self._people.accounts() if each.name == name), None)
        if account is None:
            if not self._settings.auto_create:
                raise SignInRefused(f"there is no account {name} here; ask an administrator")
            account = self._people.add_account(name, role or self._settings.default_role, None)
        elif account.password is not None:
            raise SignInRefused(
                f"there is an account {name} with a password here; sign in with that, or ask an "
                f"administrator to link it to {self.name}"
            )
        try:
            self._identities.link(account.id, self.issuer, subject)
        except Conflict as error:
            if self._identities.account_of(self.issuer, subject) == account.id:
                return account  # in another window, at the same time
            raise SignInRefused(f"the account {name} is linked to somebody else") from error
        self._people.note(account.name, "account linked", f"{self.issuer} {subject}")
        return account

    def _with_role(self, account: Account, role: str) -> Account:
        """The groups decide, but the last administrator stays one."""
        try:
            return self._people.change_account(account.name, role=role)
        except Conflict:
            return account

    def _name(self, claims: Mapping[str, Any]) -> str:
        claim = self._settings.username_claim
        name = value_at(claims, claim)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            given = "is missing" if name is None else "is no name of an account here"
            raise SignInRefused(f"the claim {claim} of {self.name} {given}")
        if claim == "email":
            self._check_verified(claims)
        return name

    def _role(self, claims: Mapping[str, Any]) -> str | None:
        """The role that the groups give; None where no group has one and it stays as it is."""
        chosen = self._settings
        groups = value_at(claims, chosen.groups_claim) if chosen.roles else None
        given = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        roles = [each.role for each in chosen.roles if each.group in given]
        if roles:
            return max(roles, key=ROLES.index)
        if chosen.default_role == NO_ROLE:
            raise SignInRefused("you are in no group that may sign in here")
        return chosen.default_role if chosen.roles else None

    def _check_email(self, claims: Mapping[str, Any]) -> None:
        domains = self._settings.email_domains
        if not domains:
            return
        email = claims.get("email")
        name, at, domain = email.rpartition("@") if isinstance(email, str) else ("", "", "")
        if not (name and at) or domain.lower() not in domains:
            raise SignInRefused("your e-mail address is of no domain that may sign in here")
        self._check_verified(claims)

    def _check_verified(self, claims: Mapping[str, Any]) -> None:
        if claims.get("email_verified") is not True and not self._settings.unverified_email:
            raise SignInRefused(f"{self.name} does not say that your e-mail address is verified")

    def _shown_name(self, claims: Mapping[str, Any]) -> str:
        name = value_at(claims, self._settings.username_claim) or claims.get("sub")
        return str(name) if name else "nobody"


def open_oidc(settings: OidcSettings, people: People) -> OidcSignIn | None:
    """Return signing in with the provider of the settings; None if they name none.

    Raises `InvalidSettings` where its library or the client's secret is missing.
    """
    if settings.issuer is None:
        return None
    try:
        from playground.access.oidc_provider import Provider
    except ImportError as error:
        raise InvalidSettings(
            f"access.oidc.issuer: {error.name} is not installed; "
            "pip install 'mistral-playground[oidc]'"
        ) from error
    try:
        secret = settings.secret()
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"access.oidc.client_secret_file: {error}") from error
    return OidcSignIn(settings, Provider(settings, secret), people)
