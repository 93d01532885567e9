"""The API key and its check."""

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
