"""Accounts, sessions and API keys as they are kept: of secrets their hashes only.

Knows the database; knows no password, no role's meaning and no HTTP.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from playground.errors import Conflict, UnknownAccount, UnknownKey
from playground.store.account_tables import AccountRow, ApiKeyRow, AuditRow, SessionRow
from playground.store.database import Database
from playground.store.identities import Identities

USED_EVERY_S = 60.0
"""How exactly the last use of a key is kept, in seconds."""


@dataclass(frozen=True, slots=True)
class Budget:
    """USD that answers may cost, in a day and in a month; None for what the settings say."""

    usd_per_day: float | None = None
    usd_per_month: float | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account as it is kept; ``password`` is a hash, or None without one."""

    id: str
    name: str
    role: str
    password: str | None
    created: float
    disabled: bool = False
    budget: Budget = Budget()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is kept; times are seconds since the epoch."""

    id: str
    hint: str
    name: str
    account_id: str | None
    scopes: tuple[str, ...]
    created: float
    expires: float | None = None
    last_used: float | None = None
    revoked: float | None = None
    budget: Budget = Budget()

    @property
    def is_valid(self) -> bool:
        """Whether it opens anything now."""
        return self.revoked is None and (self.expires is None or self.expires > time.time())


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Somebody did something at a time."""

    time: float
    who: str
    what: str
    about: str


class Accounts:
    """The accounts of one home. May be used from any thread, and by several processes."""

    def __init__(self, home: Path, url: str = "") -> None:
        self._database = Database(home, url)
        self.identities = Identities(self._database)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(self, name: str, role: str, password: str | None = None) -> Account:
        """Keep a new account. Raises `Conflict` if the name is taken."""
        row = AccountRow(
            id=f"user_{uuid.uuid4().hex[:16]}", name=name, role=role, password=password,
            created=time.time(), disabled=False,
        )  # fmt: skip
        try:
            with self._database.writing() as session:
                session.add(row)
                session.flush()
                return _account(row)
        except IntegrityError as error:
            raise Conflict(f"there is an account named {name!r} already") from error

    def all(self) -> list[Account]:
        """Return all accounts by name."""
        with self._database.reading() as session:
            rows = session.scalars(select(AccountRow).order_by(AccountRow.name))
            return [_account(row) for row in rows]

    def find(self, reference: str) -> Account:
        """Return an account by name or id. Raises `UnknownAccount`."""
        with self._database.reading() as session:
            return _account(_row(session, reference))

    def change(
        self,
        reference: str,
        *,
        role: str | None = None,
        password: str | None = None,
        disabled: bool | None = None,
    ) -> Account:
        """Change an account; its sessions end. Raises `UnknownAccount`."""
        with self._database.writing() as session:
            row = _row(session, reference)
            row.role = role or row.role
            row.password = password or row.password
            row.disabled = row.disabled if disabled is None else disabled
            session.execute(delete(SessionRow).where(SessionRow.account_id == row.id))
            return _account(row)

    def set_budget(self, reference: str, budget: Budget) -> Account:
        """Give an account another budget; its sessions go on. Raises `UnknownAccount`."""
        with self._database.writing() as session:
            row = _row(session, reference)
            row.usd_per_day, row.usd_per_month = budget.usd_per_day, budget.usd_per_month
            return _account(row)

    def remove(self, reference: str) -> Account:
        """Remove an account with its sessions and keys. Raises `UnknownAccount`."""
        with self._database.writing() as session:
            row = _row(session, reference)
            account = _account(row)
            session.delete(row)
            return account

    def begin_session(self, account_id: str, digest: str, expires: float) -> None:
        """Keep a session; those that ended are removed."""
        now = time.time()
        with self._database.writing() as session:
            session.execute(delete(SessionRow).where(SessionRow.expires <= now))
            session.add(
                SessionRow(digest=digest, account_id=account_id, created=now, expires=expires)
            )

    def end_session(self, digest: str) -> None:
        """Forget a session; none of that digest is no error."""
        with self._database.writing() as session:
            session.execute(delete(SessionRow).where(SessionRow.digest == digest))

    def account_of_session(self, digest: str) -> Account | None:
        """Return whose session it is; None if it ended, or the account is disabled."""
        with self._database.reading() as session:
            row = session.scalar(
                select(AccountRow)
                .join(SessionRow, SessionRow.account_id == AccountRow.id)
                .where(SessionRow.digest == digest, SessionRow.expires > time.time())
                .where(AccountRow.disabled.is_(False))
            )
            return _account(row) if row else None

    def add_key(
        self,
        name: str,
        digest: str,
        hint: str,
        scopes: Sequence[str],
        *,
        account_id: str | None = None,
        expires: float | None = None,
        budget: Budget = Budget(),
    ) -> ApiKey:
        """Keep a new key."""
        row = ApiKeyRow(
            id=f"key_{uuid.uuid4().hex[:16]}", digest=digest, hint=hint, name=name,
            account_id=account_id, scopes=list(scopes), created=time.time(), expires=expires,
            usd_per_day=budget.usd_per_day, usd_per_month=budget.usd_per_month,
        )  # fmt: skip
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            return _key(row)

    def keys(self) -> list[ApiKey]:
        """Return all keys, the newest first, the revoked ones too."""
        with self._database.reading() as session:
            rows = session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created.desc()))
            return [_key(row) for row in rows]

    def key_of(self, digest: str) -> tuple[ApiKey, Account | None] | None:
        """Return the key of that digest with its account, and note its use; None for no key."""
        with self._database.reading() as session:
            both = select(ApiKeyRow, AccountRow).outerjoin(
                AccountRow, AccountRow.id == ApiKeyRow.account_id
            )
            found = session.execute(both.where(ApiKeyRow.digest == digest)).first()
            if found is None:
                return None
            key, account = _key(found[0]), _account(found[1]) if found[1] else None
        if time.time() - (key.last_used or 0) > USED_EVERY_S:
            used = update(ApiKeyRow).where(ApiKeyRow.id == key.id)
            with self._database.writing() as session:
                session.execute(used.values(last_used=time.time()))
        return key, account

    def revoke(self, reference: str) -> ApiKey:
        """Make a key open nothing from now on. Raises `UnknownKey`."""
        with self._database.writing() as session:
            row = _key_row(session, reference)
            row.revoked = row.revoked or time.time()
            return _key(row)

    def set_key_budget(self, reference: str, budget: Budget) -> ApiKey:
        """Give a key another budget. Raises `UnknownKey`."""
        with self._database.writing() as session:
            row = _key_row(session, reference)
            row.usd_per_day, row.usd_per_month = budget.usd_per_day, budget.usd_per_month
            return _key(row)

    def payers(self, account_id: str, key_id: str) -> tuple[Account | None, ApiKey | None]:
        """Return the account and the key of these ids, None for one that there is not."""
        with self._database.reading() as session:
            account = session.get(AccountRow, account_id) if account_id else None
            key = session.get(ApiKeyRow, key_id) if key_id else None
            return _account(account) if account else None, _key(key) if key else None

    def note(self, who: str, what: str, about: str = "") -> None:
        """Add a line to the audit log."""
        entry = AuditRow(time=time.time(), who=who[:128], what=what[:64], about=about[:256])
        with self._database.writing() as session:
            session.add(entry)

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """Return the latest lines of the audit log, the newest first."""
        with self._database.reading() as session:
            rows = session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(limit))
            return [AuditEntry(row.time, row.who, row.what, row.about) for row in rows]


def _row(session: Session, reference: str) -> AccountRow:
    named = (AccountRow.id == reference) | (AccountRow.name == reference)
    row = session.scalars(select(AccountRow).where(named)).first()
    if row is None:
        raise UnknownAccount(reference)
    return row


def _key_row(session: Session, reference: str) -> ApiKeyRow:
    named = (ApiKeyRow.id == reference) | (ApiKeyRow.hint == reference)
    row = session.scalars(select(ApiKeyRow).where(named)).first()
    if row is None:
        raise UnknownKey(reference)
    return row


def _account(row: AccountRow) -> Account:
    budget = Budget(row.usd_per_day, row.usd_per_month)
    return Account(row.id, row.name, row.role, row.password, row.created, row.disabled, budget)


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        row.id, row.hint, row.name, row.account_id, tuple(row.scopes), row.created, row.expires,
        row.last_used, row.revoked, Budget(row.usd_per_day, row.usd_per_month),
    )  # fmt: skip
