"""Settings of signing in with a provider of OpenID Connect. Knows no HTTP and no account."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from playground.settings.fields import ApiKey, ExpandedPath, Flag, Section, Several

RoleName = Literal["guest", "user", "trainer", "admin"]
NO_ROLE = "none"
OPENID = "openid"


class GroupRole(BaseModel):
    """The role of people in a group of the provider's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str = Field(min_length=1)
    role: RoleName

    def __str__(self) -> str:
        return f"{self.group}={self.role}"


def _role_of_text(value: object) -> object:
    """``GROUP=ROLE`` as the mapping that it stands for."""
    if not isinstance(value, str):
        return value
    group, separator, role = value.rpartition("=")
    if not separator or not group or role not in get_args(RoleName):
        raise ValueError(f"write GROUP=ROLE, with a role of {', '.join(get_args(RoleName))}")
    return {"group": group, "role": role}


def _check_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write https://HOST/…")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("no user, password, query or fragment belongs in it")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ValueError("must begin with https://; http is for this machine only")
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    if OPENID not in scopes:
        raise ValueError(f"{OPENID} must be among them")
    return scopes


def _check_domain(domain: str) -> str:
    name = domain.strip().lower().removeprefix("@")
    if not name or "@" in name or "*" in name or "/" in name:
        raise ValueError("write a domain as example.org")
    return name


Address = Annotated[str, AfterValidator(_check_address)]
AnyGroupRole = Annotated[GroupRole, BeforeValidator(_role_of_text)]
"""A mapping, or ``GROUP=ROLE``."""
Domain = Annotated[str, AfterValidator(_check_domain)]


class OidcSettings(Section):
    """OpenID Connect"""

    issuer: Annotated[Address | None, Flag("--oidc-issuer")] = Field(
        default=None,
        description="people sign in with this provider, as https://login.example.org/realms/team",
    )
    client_id: Annotated[str, Flag("--oidc-client-id")] = Field(
        default="", description="id under which the provider knows this server"
    )
    client_secret: Annotated[ApiKey | None, Flag("--oidc-client-secret")] = Field(
        default=None, description="the client's secret; prefer the variable or the file"
    )
    client_secret_file: Annotated[ExpandedPath | None, Flag("--oidc-client-secret-file")] = Field(
        default=None, description="file with the client's secret"
    )
    name: Annotated[str, Flag("--oidc-name")] = Field(
        default="single sign-on", min_length=1, max_length=64,
        description='what the button calls the provider: "Sign in with …"',
    )  # fmt: skip
    only: Annotated[bool, Flag("--oidc-only")] = Field(
        default=False, description="nobody signs in by a password"
    )
    scopes: Annotated[Several[str], AfterValidator(_check_scopes), Flag("--oidc-scope")] = Field(
        default=(OPENID, "profile", "email"), description="scope that is asked for"
    )
    username_claim: Annotated[str, Flag("--oidc-username-claim")] = Field(
        default="preferred_username", min_length=1, description="claim with the account's name"
    )
    groups_claim: Annotated[str, Flag("--oidc-groups-claim")] = Field(
        default="groups", min_length=1, description="claim with the groups; a.b is b within a"
    )
    roles: Annotated[Several[AnyGroupRole], Flag("--oidc-role")] = Field(
        default=(), description="GROUP=ROLE; of several the one that may most"
    )
    default_role: Annotated[
        Literal["none", "guest", "user", "trainer", "admin"], Flag("--oidc-default-role")
    ] = Field(default="user", description="role of people in none of these groups; none: refused")
    email_domains: Annotated[Several[Domain], Flag("--oidc-email-domain")] = Field(
        default=(), description="domain that e-mail addresses must have; any if unset"
    )
    unverified_email: Annotated[bool, Flag("--oidc-unverified-email")] = Field(
        default=False, description="trust addresses that the provider does not call verified"
    )
    auto_create: Annotated[bool, Flag("--oidc-auto-create")] = Field(
        default=False,
        description="make an account at a first sign-in; else only known names",
    )
    redirect_uri: Annotated[Address | None, Flag("--oidc-redirect-uri")] = Field(
        default=None,
        description="address of this server's /login/oidc/callback; from the request if unset",
    )

    @model_validator(mode="after")
    def _check_client(self) -> Self:
        if self.issuer and not self.client_id:
            raise ValueError("client_id: the provider gives one for this server")
        if self.client_id and not self.issuer:
            raise ValueError("issuer: name the provider of this client_id")
        if self.client_secret and self.client_secret_file:
            raise ValueError("give client_secret or client_secret_file, not both")
        if self.only and not self.issuer:
            raise ValueError("only: there is no issuer to sign in with")
        return self

    def secret(self) -> SecretStr | None:
        """Return the client's secret, None for a client without one.

        Raises `OSError` or `ValueError` where the file has none.
        """
        if self.client_secret_file is None:
            return self.client_secret
        return SecretStr(_secret_in(self.client_secret_file))


def _secret_in(file: Path) -> str:
    text = file.read_text(encoding="utf-8").strip()
    if not text:
        raise ValueError("it is empty")
    return text
