"""Accounts that a provider of OpenID Connect signs in, and sign-ins that wait for it.

Knows the database; knows no provider and no HTTP. Of states and cookies hashes are kept.
"""

import time
from dataclasses import asdict, dataclass

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from playground.errors import Conflict
from playground.store.account_tables import BegunSignInRow, IdentityRow
from playground.store.database import Database


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """What a browser has to come back with; ``expires`` in seconds since the epoch."""

    digest: str
    browser: str
    nonce: str
    verifier: str
    redirect_uri: str
    expires: float


class Identities:
    """Who at which provider is which account. May be used from any thread and several processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def account_of(self, issuer: str, subject: str) -> str | None:
        """Return the id of the account that is linked to this subject; None if none is."""
        with self._database.reading() as session:
            row = session.get(IdentityRow, (issuer, subject))
            return row.account_id if row else None

    def linked(self) -> dict[str, list[str]]:
        """Return the issuers of each account that is linked, by the account's id."""
        found: dict[str, list[str]] = {}
        with self._database.reading() as session:
            for row in session.scalars(select(IdentityRow).order_by(IdentityRow.issuer)):
                found.setdefault(row.account_id, []).append(row.issuer)
        return found

    def link(self, account_id: str, issuer: str, subject: str) -> None:
        """Let this subject sign in to the account.

        Raises `Conflict` if it signs in to another one, or another subject to this one.
        """
        row = IdentityRow(
            issuer=issuer, subject=subject, account_id=account_id, created=time.time()
        )
        try:
            with self._database.writing() as session:
                session.add(row)
        except IntegrityError as error:
            raise Conflict("the account or the subject is linked to another one") from error

    def unlink(self, account_id: str) -> int:
        """Let no provider sign in to the account; returns how many did."""
        with self._database.writing() as session:
            rows = session.scalars(
                select(IdentityRow).where(IdentityRow.account_id == account_id)
            ).all()
            for row in rows:
                session.delete(row)
            return len(rows)

    def begin(self, sign_in: BegunSignIn) -> None:
        """Expect a browser back; those that took too long are forgotten."""
        with self._database.writing() as session:
            session.execute(delete(BegunSignInRow).where(BegunSignInRow.expires <= time.time()))
            session.add(BegunSignInRow(**asdict(sign_in)))

    def take(self, digest: str) -> BegunSignIn | None:
        """Return what was begun under this digest, once; None if nothing was, or it expired."""
        with self._database.writing() as session:
            row = session.get(BegunSignInRow, digest, with_for_update=True)
            if row is None:
                return None
            session.delete(row)
            if row.expires <= time.time():
                return None
            return BegunSignIn(
                row.digest, row.browser, row.nonce, row.verifier, row.redirect_uri, row.expires
            )
