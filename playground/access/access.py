"""The API key and its check, and the sessions of the page beside it."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from playground.errors import Unauthorized
from playground.settings import AccessSettings


@dataclass(frozen=True, slots=True)
class Access:
    """Decides which requests may pass. Without a key all may."""

    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def from_settings(cls, settings: AccessSettings) -> "Access":
        """Return the access that the settings describe."""
        key = settings.api_key
        return cls(key.get_secret_value() if key else None)

    @property
    def needs_key(self) -> bool:
        """True if requests must carry the API key."""
        return self.api_key is not None

    def check(self, authorization: str | None) -> None:
        """Raise `Unauthorized` unless this Authorization header carries the key, if one is set."""
        if self.api_key is None:
            return
        scheme, _, key = (authorization or "").partition(" ")
        # Latin-1 is how HTTP headers are decoded; the comparison takes the same time for every key.
        matches = secrets.compare_digest(key.strip().encode("latin-1"), self.api_key.encode())
        if scheme.lower() != "bearer" or not matches:
            raise Unauthorized

    def new_page_session(self) -> str:
        """Return what the page's own requests carry in place of the key, for one browser.

        It is signed with the key: it outlives a restart and ends when the key changes. Whoever
        loads the page gets one, so it keeps programs out that do not ask for the page, no more.
        """
        nonce = secrets.token_hex(16)
        return f"{nonce}.{self._signature(nonce)}"

    def check_page(self, authorization: str | None, session: str | None) -> None:
        """Raise `Unauthorized` unless a request of the page has its session, or carries the key."""
        nonce, _, signature = (session or "").partition(".")
        if nonce and secrets.compare_digest(signature.encode(), self._signature(nonce).encode()):
            return
        self.check(authorization)

    def _signature(self, nonce: str) -> str:
        key = (self.api_key or "").encode()
        return hmac.new(key, f"page {nonce}".encode(), hashlib.sha256).hexdigest()
