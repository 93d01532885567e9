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
    field_validator,
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


class BackendSettings(_Strict):
    """Another server that answers, beside the model of this one. The key is never in the file:
    ``key_env`` names an environment variable, ``key_file`` a file.
    """

    alias: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    url: str
    kind: BackendKind = "openai"
    key_env: str = ""
    key_file: Annotated[Path, AfterValidator(lambda path: path.expanduser())] | None = None
    models: tuple[Annotated[RemoteModel, BeforeValidator(_model_of_text)], ...] = ()
    connect_timeout_s: float = Field(default=5.0, gt=0)
    timeout_s: float = Field(default=120.0, gt=0)
    retries: int = Field(default=3, ge=0, le=10)

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write http://HOST:PORT/… or https://HOST/…")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("no user, password or query belongs in it; see key_env and key_file")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _check_key_and_models(self) -> Self:
        if self.key_env and self.key_file:
            raise ValueError("give key_env or key_file, not both")
        if self.kind in ("together", "mistral") and not self.models:
            raise ValueError(f"models: name those to offer here; {self.kind} lists hundreds")
        return self

    def __str__(self) -> str:
        return f"{self.alias}={self.kind}+{self.url}"


def _backend_of_text(value: object) -> object:
    """``ALIAS=URL`` or ``ALIAS=KIND+URL`` as the mapping that it stands for."""
    if not isinstance(value, str):
        return value
    alias, separator, url = value.partition("=")
    if not separator:
        raise ValueError("write ALIAS=URL or ALIAS=KIND+URL")
    kind, plus, rest = url.partition("+")
    known = plus and kind in get_args(BackendKind)
    return {"alias": alias, "url": rest, "kind": kind} if known else {"alias": alias, "url": url}


AnyBackend = Annotated[BackendSettings, BeforeValidator(_backend_of_text)]
"""A mapping, or ``ALIAS=URL``."""


def check_aliases(backends: tuple[BackendSettings, ...]) -> tuple[BackendSettings, ...]:
    """The same backends. Raises `ValueError` for an alias that two of them have."""
    aliases = [backend.alias for backend in backends]
    twice = next((alias for alias in aliases if aliases.count(alias) > 1), None)
    if twice:
        raise ValueError(f"alias {twice!r} is given twice")
    return backends
