"""Accounts and API keys: made, changed, signed in. The page's Admin tab, the API and the commands
call this. Knows no HTTP.
"""

import hmac
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from playground.access.identity import current_identity
from playground.access.roles import ROLES, SCOPES
from playground.access.secrets import (
    HINT_CHARACTERS,
    digest_of,
    hash_password,
    matches,
    new_key,
    new_token,
)
from playground.errors import Conflict, InvalidRequest, LimitReached, UnknownAccount, UnknownKey
from playground.store.accounts import Account, Accounts, ApiKey, AuditEntry, Budget
from playground.store.identities import Identities

NAME = re.compile(r"[\w.@+-]{1,64}")
FIRST_ADMIN: Final = "admin"
"""The account that ``--password`` is for."""
ATTEMPTS: Final[RateLimitItem] = parse("10 per minute")
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; ``secret`` is shown once and is kept nowhere."""

    key: ApiKey
    secret: str


class People:
    """The accounts and keys of one home. May be used from any thread."""

    def __init__(self, accounts: Accounts, session_hours: float = 168.0) -> None:
        self._accounts = accounts
        self._session_s = session_hours * 3600
        self.attempts = MovingWindowRateLimiter(MemoryStorage())
        self._setup_token: str | None = None

    @property
    def identities(self) -> Identities:
        """Who at which provider is which account."""
        return self._accounts.identities

    # Signing in.

    def sign_in(self, name: str, password: str, address: str = "") -> str:
        """Return the token of a new session. Raises `InvalidRequest` if name or password is wrong,
        and `LimitReached` after too many attempts of one address or at one name."""
        for who in (f"address:{address}", f"name:{name}"):
            if not self.attempts.hit(ATTEMPTS, who):
                raise LimitReached("too many attempts to sign in; wait a minute", 60)
        account = self.find(name)
        known = account is not None and not account.disabled
        right = matches(password, account.password if account and known else None)
        if account is None or not right:
            self._accounts.note(name, "sign-in refused", address)
            raise InvalidRequest("password", "name or password is wrong")
        self._accounts.note(account.name, "signed in", address)
        return self.begin_session(account)

    def begin_session(self, account: Account) -> str:
        """Return the token of a new session of somebody who has signed in."""
        token = new_token()
        self._accounts.begin_session(account.id, digest_of(token), time.time() + self._session_s)
        return token

    def sign_out(self, token: str) -> None:
        """End a session; one that has ended is no error."""
        self._accounts.end_session(digest_of(token))

    def account_of_session(self, token: str) -> Account | None:
        """Return whose session it is, None for nobody's."""
        return self._accounts.account_of_session(digest_of(token)) if token else None

    def setup_token(self) -> str | None:
        """Return the token of the link at which the first administrator chooses a password; None
        once there is one."""
        linked = self.identities.linked()
        if any(a.role == "admin" and (a.password or a.id in linked) for a in self._accounts.all()):
            self._setup_token = None
        elif self._setup_token is None:
            self._setup_token = new_token()
        return self._setup_token

    def set_up(self, token: str, name: str, password: str) -> str:
        """Make the first administrator and sign in; returns the session's token.

        Raises `Conflict` if the link was used, or was never given out.
        """
        wanted = self.setup_token()
        if wanted is None or not hmac.compare_digest(wanted.encode(), token.encode()):
            raise Conflict("this link was used already; sign in, or ask an administrator")
        account = self.add_account(name, "admin", password)
        self._setup_token = None
        return self.begin_session(account)

    def ensure_admin(self, password: str) -> None:
        """Give the account ``admin`` this password; it is made if there is none."""
        account = self.find(FIRST_ADMIN)
        if account is None:
            self._accounts.add(FIRST_ADMIN, "admin", hash_password(password))
        elif not matches(password, account.password) or account.disabled:
            self._accounts.change(
                FIRST_ADMIN, role="admin", password=hash_password(password), disabled=False
            )

    # Accounts.

    def accounts(self) -> list[Account]:
        """Return all accounts by name."""
        return self._accounts.all()

    def find(self, reference: str) -> Account | None:
        """Return an account by name or id, None if there is none."""
        try:
            return self._accounts.find(reference)
        except UnknownAccount:
            return None

    def account(self, reference: str) -> Account:
        """Return an account by name or id. Raises `UnknownAccount`."""
        return self._accounts.find(reference)

    def add_account(
        self, name: str, role: str, password: str | None, budget: Budget = Budget()
    ) -> Account:
        """Make an account, without a password for whoever a provider calls by this name.

        Raises `InvalidRequest` for a name, role or password that is not taken, and `Conflict` if
        the name is.
        """
        if not NAME.fullmatch(name):
            problem = f"{name!r} must be 1 to 64 letters, digits or . _ - @ +"
            raise InvalidRequest("name", problem)
        hashed = None if password is None else hash_password(password)
        account = self._accounts.add(name, _role(role), hashed)
        self._note("account added", f"{name} ({role})")
        return account if budget == Budget() else self.set_budget(account.id, budget)

    def change_account(
        self,
        name: str,
        *,
        role: str | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> Account:
        """Change role or password, disable or enable; their sessions end.

        Raises `UnknownAccount`, `InvalidRequest`, and `Conflict` where no administrator would be
        left.
        """
        if (role is not None and role != "admin") or disabled:
            self._require_another_admin(name)
        account = self._accounts.change(
            name,
            role=None if role is None else _role(role),
            password=None if password is None else hash_password(password),
            disabled=disabled,
        )
        changes = {"role": role, "password": password and "new", "disabled": disabled}
        given = ", ".join(f"{key} {value}" for key, value in changes.items() if value is not None)
        self._note("account changed", f"{account.name}: {given}")
        return account

    def remove_account(self, name: str) -> Account:
        """Remove an account with its sessions and keys; what it made stays, the administrators'.

        Raises `UnknownAccount`, and `Conflict` for the last administrator.
        """
        self._require_another_admin(name)
        account = self._accounts.remove(name)
        self._note("account removed", account.name)
        return account

    def link(self, name: str, issuer: str, subject: str) -> Account:
        """Let a subject of a provider sign in to an account. Raises `UnknownAccount`,
        `InvalidRequest` for no subject, and `Conflict` if either is linked."""
        if not subject.strip() or not issuer:
            raise InvalidRequest("subject", "name the subject (sub), and set a provider")
        account = self._accounts.find(name)
        self.identities.link(account.id, issuer, subject.strip())
        self._note("account linked", f"{account.name}: {issuer} {subject}")
        return account

    def unlink(self, name: str) -> Account:
        """Let no provider sign in to an account. Raises `UnknownAccount`."""
        account = self._accounts.find(name)
        self.identities.unlink(account.id)
        self._note("account unlinked", account.name)
        return account

    def set_budget(self, name: str, budget: Budget) -> Account:
        """Give an account another budget. Raises `UnknownAccount`, and `InvalidRequest` for less
        than nothing."""
        account = self._accounts.set_budget(name, _checked(budget))
        self._note("budget changed", f"{account.name}: {_written(budget)}")
        return account

    # Keys.

    def key(self, reference: str) -> ApiKey:
        """Return a key by its id or first characters. Raises `UnknownKey`."""
        found = (key for key in self.api_keys() if reference in (key.id, key.hint))
        key = next(found, None)
        if key is None:
            raise UnknownKey(reference)
        return key

    def set_key_budget(self, reference: str, budget: Budget) -> ApiKey:
        """Give a key another budget. Raises `UnknownKey`, and `InvalidRequest` for less than
        nothing."""
        key = self._accounts.set_key_budget(reference, _checked(budget))
        self._note("budget changed", f"{key.id} {key.name}: {_written(budget)}")
        return key

    def payers(self, account_id: str, key_id: str) -> tuple[Account | None, ApiKey | None]:
        """Return the account and the key of these ids, None for one that there is not."""
        return self._accounts.payers(account_id, key_id)

    def api_keys(self) -> list[ApiKey]:
        """Return all keys, the newest first."""
        return self._accounts.keys()

    def add_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        account: str | None = None,
        days: float | None = None,
        budget: Budget = Budget(),
    ) -> NewKey:
        """Make a key, for an account if one is named: it can do no more than that account then.

        Raises `InvalidRequest` for a wrong name, scope or number of days, and `UnknownAccount`.
        """
        known = [area.value for area in SCOPES]
        wrong = [scope for scope in scopes if scope not in known]
        if wrong or not scopes:
            given = repr(wrong[0]) if wrong else "no scope"
            raise InvalidRequest("scopes", f"{given} is none of {', '.join(known)}")
        if not 1 <= len(name.strip()) <= 128:
            raise InvalidRequest("name", "must have 1 to 128 characters")
        if days is not None and not 0 < days <= 36_500:
            raise InvalidRequest("expires", f"{days:g} days is not more than 0 and at most 36500")
        secret = new_key()
        key = self._accounts.add_key(
            name.strip(), digest_of(secret), secret[:HINT_CHARACTERS], tuple(dict.fromkeys(scopes)),
            account_id=self._accounts.find(account).id if account else None,
            expires=None if days is None else time.time() + days * DAY_S,
            budget=_checked(budget),
        )  # fmt: skip
        self._note("key added", f"{key.id} {key.name}: {', '.join(key.scopes)}")
        return NewKey(key, secret)

    def revoke_key(self, reference: str) -> ApiKey:
        """Make a key, named by its id or its first characters, open nothing from now on.

        Raises `UnknownKey`.
        """
        key = self._accounts.revoke(reference)
        self._note("key revoked", f"{key.id} {key.name}")
        return key

    def owner_of_key(self, secret: str) -> tuple[ApiKey, Account | None] | None:
        """Return a key that is valid now, with its account; None for any other."""
        found = self._accounts.key_of(digest_of(secret))
        if found is None or not found[0].is_valid or (found[1] and found[1].disabled):
            return None
        return found

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """Return who did what, the latest first."""
        return self._accounts.audit(limit)

    def close(self) -> None:
        """Close the database."""
        self._accounts.close()

    def _require_another_admin(self, name: str) -> None:
        removed = self._accounts.find(name)
        others = (a for a in self._accounts.all() if a.id != removed.id and not a.disabled)
        if removed.role == "admin" and not any(a.role == "admin" for a in others):
            raise Conflict(f"{removed.name} is the last administrator; make another one first")

    def note(self, who: str, what: str, about: str = "") -> None:
        """Add a line to the audit log."""
        self._accounts.note(who, what, about)

    def _note(self, what: str, about: str) -> None:
        self.note(current_identity().name, what, about)


def _checked(budget: Budget) -> Budget:
    for name, usd in (("day", budget.usd_per_day), ("month", budget.usd_per_month)):
        if usd is not None and not (usd >= 0 and math.isfinite(usd)):
            raise InvalidRequest(f"usd_per_{name}", f"{usd:g} is no amount of USD")
    return budget


def _written(budget: Budget) -> str:
    parts = (("day", budget.usd_per_day), ("month", budget.usd_per_month))
    given = [f"USD {usd:g} a {name}" for name, usd in parts if usd is not None]
    return ", ".join(given) or "that of the settings"


def _role(role: str) -> str:
    if role not in ROLES:
        raise InvalidRequest("role", f"{role!r} is none of {', '.join(ROLES)}")
    return role
