"""Where a remote server is, and the key for it. Knows no HTTP.

The key is read once, from the environment or a file; no text that people see ever holds it.
"""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playground.backends.openai_compatible.kinds import KINDS, Kind
from playground.errors import InvalidSettings
from playground.settings import BackendSettings


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that the settings name: its id there, its name here, its context if it is told."""

    id: str
    name: str
    context_length: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """One server, as the administrator's settings have it.

    ``api`` is where OpenAI's paths begin (``…/v1``), ``root`` where the server's own do. ``models``
    are those to offer; empty for all that it serves. Times are in seconds; ``timeout_s`` is between
    two pieces of an answer.
    """

    alias: str
    kind: Kind
    root: str
    api: str
    key: str = field(default="", repr=False)
    models: tuple[OfferedModel, ...] = ()
    connect_timeout_s: float = 5.0
    timeout_s: float = 120.0
    retries: int = 3

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def scrubbed(self, text: str) -> str:
        """The text without the key, should a server have repeated it."""
        return text.replace(self.key, "…") if self.key else text


def server_of(settings: BackendSettings, url: str = "") -> RemoteServer:
    """The server that a backend's settings mean, the one at ``url`` if it has several. Raises
    `InvalidSettings` for a key that is not there.
    """
    url = url or settings.servers[0].url
    has_path = urlsplit(url).path not in ("", "/")
    return RemoteServer(
        alias=settings.alias,
        kind=KINDS[settings.kind],
        root=url.removesuffix("/v1"),
        api=url if has_path else f"{url}/v1",
        key=_key(settings),
        models=tuple(
            OfferedModel(model.id, model.name or model.id, model.context_length)
            for model in settings.models
        ),
        connect_timeout_s=settings.connect_timeout_s,
        timeout_s=settings.timeout_s,
        retries=settings.retries,
    )


def _key(settings: BackendSettings) -> str:
    key = ""
    if settings.key_env:
        key = os.environ.get(settings.key_env, "").strip()
        if not key:
            problem = f"the environment variable {settings.key_env} is not set"
            raise InvalidSettings(f"backend {settings.alias!r}: key_env: {problem}")
    if settings.key_file:
        try:
            key = settings.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettings(f"backend {settings.alias!r}: key_file: {error}") from error
        if not key:
            problem = f"{settings.key_file} is empty"
            raise InvalidSettings(f"backend {settings.alias!r}: key_file: {problem}")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidSettings(f"backend {settings.alias!r}: the key has characters that no key has")
    return key
