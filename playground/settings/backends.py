"""Settings of the servers that answer beside the resident model. Knows no HTTP."""

from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

BackendKind = Literal["openai", "playground", "vllm", "llama.cpp", "ollama", "together", "mistral"]


class _Strict(BaseModel):
    """Unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RemoteModel(_Strict):
    """A model of a remote backend: ``id`` there, ``name`` here, the window if it does not say."""

    id: str = Field(min_length=1)
    name: str = Field(default="", pattern=r"^[^\s:]*$")
    context_length: int | None = Field(default=None, ge=16)


def _model_of_text(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write http://HOST:PORT/… or https://HOST/…")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("no user, password or query belongs in it; see key_env and key_file")
    return url.rstrip("/")


ServerUrl = Annotated[str, AfterValidator(_check_url)]


class ReplicaSettings(_Strict):
    """One of several servers of the same models; ``weight`` is its share of the work, 0 for none
    while it is drained."""

    url: ServerUrl
    weight: float = Field(default=1.0, ge=0)


def _replica_of_text(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class BackendSettings(_Strict):
    """Another server that answers, beside the model of this one; or several that serve the same,
    its ``replicas``. The key is never in the file: ``key_env`` names an environment variable,
    ``key_file`` a file.
    """

    alias: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    url: ServerUrl | None = None
    replicas: tuple[Annotated[ReplicaSettings, BeforeValidator(_replica_of_text)], ...] = ()
    kind: BackendKind = "openai"
    key_env: str = ""
    key_file: Annotated[Path, AfterValidator(lambda path: path.expanduser())] | None = None
    models: tuple[Annotated[RemoteModel, BeforeValidator(_model_of_text)], ...] = ()
    connect_timeout_s: float = Field(default=5.0, gt=0)
    timeout_s: float = Field(default=120.0, gt=0)
    retries: int = Field(default=3, ge=0, le=10)

    @property
    def servers(self) -> tuple[ReplicaSettings, ...]:
        """All of its servers, the only one included."""
        return self.replicas if self.url is None else (ReplicaSettings(url=self.url),)

    @model_validator(mode="after")
    def _check_servers(self) -> Self:
        if bool(self.url) == bool(self.replicas):
            raise ValueError("give url, or replicas with a url each")
        urls = [each.url for each in self.replicas]
        twice = next((url for url in urls if urls.count(url) > 1), None)
        if twice:
            raise ValueError(f"replicas: {twice} is given twice")
        if self.replicas and not any(each.weight for each in self.replicas):
            raise ValueError("replicas: at least one has to have a weight above 0")
        return self

    @model_validator(mode="after")
    def _check_key_and_models(self) -> Self:
        if self.key_env and self.key_file:
            raise ValueError("give key_env or key_file, not both")
        if self.kind in ("together", "mistral") and not self.models:
            raise ValueError(f"models: name those to offer here; {self.kind} lists hundreds")
        return self

    def __str__(self) -> str:
        return f"{self.alias}={self.kind}+{','.join(each.url for each in self.servers)}"


def _backend_of_text(value: object) -> object:
    """``ALIAS=URL`` or ``ALIAS=KIND+URL``, with commas between the URLs of several servers, as the
    mapping that it stands for."""
    if not isinstance(value, str):
        return value
    alias, separator, url = value.partition("=")
    if not separator:
        raise ValueError("write ALIAS=URL or ALIAS=KIND+URL")
    kind, plus, rest = url.partition("+")
    known = plus and kind in get_args(BackendKind)
    first, *others = (rest if known else url).split(",")
    where = {"replicas": [first, *others]} if others else {"url": first}
    return {"alias": alias, **where, **({"kind": kind} if known else {})}


AnyBackend = Annotated[BackendSettings, BeforeValidator(_backend_of_text)]
"""A mapping, or ``ALIAS=URL``."""


def check_aliases(backends: tuple[BackendSettings, ...]) -> tuple[BackendSettings, ...]:
    """The same backends. Raises `ValueError` for an alias that two of them have."""
    aliases = [backend.alias for backend in backends]
    twice = next((alias for alias in aliases if aliases.count(alias) > 1), None)
    if twice:
        raise ValueError(f"alias {twice!r} is given twice")
    return backends
