"""Passwords, API keys and session tokens: made, hashed and checked. Knows no account.

Passwords are hashed by argon2id with argon2-cffi's defaults; keys and tokens have 256 bits of
their own, for which SHA-256 is enough.
"""

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from playground.errors import InvalidRequest

KEY_PREFIX = "sk-pg-"
HINT_CHARACTERS = 12
MIN_PASSWORD, MAX_PASSWORD = 10, 1024
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43
"""Checked where there is no account, so that both take the same time."""


def new_key() -> str:
    """Return a new API key."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_token() -> str:
    """Return what a cookie or a link carries."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Return what is kept of a key or a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def hash_password(password: str) -> str:
    """Return argon2's encoded hash. Raises `InvalidRequest` for one that is too short."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        problem = f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters"
        raise InvalidRequest("password", problem)
    return PasswordHasher().hash(password)


def matches(password: str, encoded: str | None) -> bool:
    """Whether it is the password of that hash; takes as long where there is none."""
    try:
        return PasswordHasher().verify(encoded or NOBODYS, password[:MAX_PASSWORD])
    except (Argon2Error, InvalidHashError):
        return False
