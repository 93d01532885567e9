"""The tables of accounts, what signs in to them, and API keys. Secrets are kept as hashes."""

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from playground.store.tables import Table


class AccountRow(Table):
    """A person's account. ``password`` is argon2's encoded hash, null for whoever signs in without
    one; times are seconds since the epoch. Budgets are in USD, null for that of the settings."""

    __tablename__ = "accounts"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str | None] = mapped_column(Text)
    created: Mapped[float] = mapped_column(Float)
    disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    usd_per_day: Mapped[float | None] = mapped_column(Float)
    usd_per_month: Mapped[float | None] = mapped_column(Float)
    __table_args__ = (Index("accounts_by_name", "name", unique=True),)


class SessionRow(Table):
    """A browser that has signed in; ``digest`` is the SHA-256 of what its cookie holds."""

    __tablename__ = "sessions"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float] = mapped_column(Float)
    __table_args__ = (Index("sessions_by_account", "account_id"),)


class IdentityRow(Table):
    """Whom a provider of OpenID Connect means by ``subject``, as one of our accounts."""

    __tablename__ = "account_identities"
    issuer: Mapped[str] = mapped_column(String(512), primary_key=True)
    subject: Mapped[str] = mapped_column(String(256), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    created: Mapped[float] = mapped_column(Float)
    __table_args__ = (Index("identities_by_account", "account_id", "issuer", unique=True),)


class BegunSignInRow(Table):
    """A browser that was sent to a provider and is expected back: ``digest`` is the SHA-256 of the
    state that it comes back with, ``browser`` that of its cookie."""

    __tablename__ = "begun_sign_ins"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(128))
    verifier: Mapped[str] = mapped_column(String(128))
    redirect_uri: Mapped[str] = mapped_column(Text)
    expires: Mapped[float] = mapped_column(Float)


class ApiKeyRow(Table):
    """An API key; ``digest`` is the SHA-256 of the key, ``hint`` its first characters."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    hint: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(128))
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created: Mapped[float] = mapped_column(Float)
    expires: Mapped[float | None] = mapped_column(Float)
    last_used: Mapped[float | None] = mapped_column(Float)
    revoked: Mapped[float | None] = mapped_column(Float)
    usd_per_day: Mapped[float | None] = mapped_column(Float)
    usd_per_month: Mapped[float | None] = mapped_column(Float)
    __table_args__ = (Index("api_keys_by_digest", "digest", unique=True),)


class AuditRow(Table):
    """Who did what: a sign-in, a key made or revoked, an account changed."""

    __tablename__ = "audit_log"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    time: Mapped[float] = mapped_column(Float)
    who: Mapped[str] = mapped_column(String(128))
    what: Mapped[str] = mapped_column(String(64))
    about: Mapped[str] = mapped_column(String(256), default="")
