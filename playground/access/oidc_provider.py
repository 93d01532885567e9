"""`Provider`: asks a provider of OpenID Connect who somebody is, and checks what it says.

Authorization code with PKCE, through Authlib. Knows no account and no cookie. Imported where a
provider is set, so that nobody else waits for its libraries.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.common.urls import add_params_to_uri
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from pydantic import SecretStr

from playground.access.claims import Claims, value_at
from playground.errors import ProviderUnavailable, SignInRefused
from playground.settings import OidcSettings

DISCOVERY: Final = "/.well-known/openid-configuration"
ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
     "Ed25519")
)  # fmt: skip
"""Signatures that only the provider can make: neither ``none`` nor a secret that both have."""
TIMEOUT_S: Final = 10.0
KEEP_S: Final = 3600.0
"""How long what the provider says of itself is believed."""
REFETCH_S: Final = 30.0
"""Keys that are not known are asked for no more often than this."""
FAILED_S: Final = 3.0
"""How long a provider that did not answer is not asked again who it is."""
LEEWAY_S: Final = 60
"""How far the provider's clock may be off."""
LONGEST: Final = 200
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Described:
    """What the provider says of itself, and when, in seconds of a monotonic clock."""

    metadata: Mapping[str, Any]
    keys: KeySet
    at: float

    @property
    def issuer(self) -> str:
        """As it stands in the tokens."""
        return str(self.metadata["issuer"])

    @property
    def algorithms(self) -> list[str]:
        """The signatures that are accepted of it."""
        named = self.metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        return sorted(ALGORITHMS.intersection(named))


class Provider:
    """One provider. May be used from any thread; nothing is asked before the first sign-in.

    Every call raises `ProviderUnavailable` if it cannot be reached or does not say what OpenID
    Connect has it say, and `SignInRefused` if it refuses, or a token is not what it should be.
    """

    def __init__(self, settings: OidcSettings, secret: SecretStr | None) -> None:
        self._settings = settings
        self._secret = secret
        self._lock = threading.Lock()
        self._described: Described | None = None
        self._failed: tuple[float, ProviderUnavailable] | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return self._settings.name

    @property
    def issuer(self) -> str:
        """Its name in tokens and links."""
        return self._describe().issuer

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return the address at which somebody signs in, and is sent back from."""
        described = self._describe()
        with self._client(described, redirect_uri) as client:
            url, _ = client.create_authorization_url(
                described.metadata["authorization_endpoint"],
                state=state,
                nonce=nonce,
                code_verifier=verifier,
            )
        return str(url)

    def sign_out_url(self) -> str | None:
        """Return where somebody signs out at the provider (RP-Initiated Logout 1.0); None where it
        names no such address."""
        described = self._describe().metadata.get("end_session_endpoint")
        if not isinstance(described, str) or not described.startswith(("https://", "http://")):
            return None
        return str(add_params_to_uri(described, [("client_id", self._settings.client_id)]))

    def claims(self, code: str, *, redirect_uri: str, nonce: str, verifier: str) -> Claims:
        """Return what the provider says of whoever came back with ``code``: the claims of a token
        whose signature, issuer, audience, times and nonce are right, and those of its userinfo."""
        described = self._describe()
        with self._client(described, redirect_uri) as client, self._asking():
            token = client.fetch_token(
                described.metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
            )
            claims = self._checked(token, nonce)
            return self._with_userinfo(client, described, claims)

    def _checked(self, token: Mapping[str, Any], nonce: str) -> Claims:
        text = token.get("id_token")
        if not isinstance(text, str):
            raise SignInRefused(f"{self.name} sent no id token; is the scope openid allowed there?")
        described = self._describe()
        options = {
            "iss": {"essential": True, "value": described.issuer},
            "aud": {"essential": True, "value": self._settings.client_id},
            "sub": {"essential": True},
        }
        params = {
            "nonce": nonce,
            "client_id": self._settings.client_id,
            "access_token": token.get("access_token"),
        }
        try:
            found = self._decoded(text)
            checked = CodeIDToken(found.claims, found.header, options, params)
            checked.validate(leeway=LEEWAY_S)
        except ExpiredTokenError as error:
            raise SignInRefused(f"what {self.name} said has expired; sign in again") from error
        except (JoseError, ValueError) as error:
            raise SignInRefused(
                f"what {self.name} said of you cannot be trusted ({_short(error)})"
            ) from error
        return dict(checked)

    def _decoded(self, text: str) -> jwt.Token:
        """Check the signature; a key that is not known may be new."""
        try:
            return _decode(text, self._describe())
        except InvalidKeyIdError:
            return _decode(text, self._describe(older_than_s=REFETCH_S))

    def _with_userinfo(self, client: Any, described: Described, claims: Claims) -> Claims:
        """Add what only the userinfo endpoint says, of the same subject."""
        endpoint = described.metadata.get("userinfo_endpoint")
        chosen = self._settings
        wanted = [chosen.username_claim, *([chosen.groups_claim] if chosen.roles else [])]
        wanted += ["email"] if chosen.email_domains else []
        if not endpoint or all(value_at(claims, name) is not None for name in wanted):
            return claims
        reply = client.get(endpoint)
        reply.raise_for_status()
        said = reply.json()
        if not isinstance(said, dict) or said.get("sub") != claims["sub"]:
            raise SignInRefused(f"the userinfo of {self.name} is of somebody else")
        return {**said, **claims}

    def _describe(self, older_than_s: float = KEEP_S) -> Described:
        with self._lock:
            known = self._described
            if known is None or time.monotonic() - known.at >= older_than_s:
                if self._failed and time.monotonic() - self._failed[0] < FAILED_S:
                    raise self._failed[1]
                try:
                    known = self._described = self._fetch_description()
                except ProviderUnavailable as error:
                    self._failed = time.monotonic(), error
                    raise
            return known

    def _fetch_description(self) -> Described:
        wanted = str(self._settings.issuer)
        with self._asking(), httpx2.Client(timeout=TIMEOUT_S) as client:
            metadata = _object(client.get(wanted.rstrip("/") + DISCOVERY))
            for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not isinstance(metadata.get(name), str):
                    raise ProviderUnavailable(f"{self.name} does not say its {name}")
            if metadata["issuer"].rstrip("/") != wanted.rstrip("/"):
                raise ProviderUnavailable(
                    f"{self.name} calls itself {metadata['issuer']}, not {wanted}; set it as issuer"
                )
            keys = KeySet.import_key_set(_object(client.get(metadata["jwks_uri"])))  # type: ignore[arg-type]
        return Described(metadata, keys, time.monotonic())

    def _client(self, described: Described, redirect_uri: str) -> Any:
        secret = self._secret.get_secret_value() if self._secret else None
        methods = described.metadata.get("token_endpoint_auth_methods_supported") or []
        is_posted = "client_secret_basic" not in methods and "client_secret_post" in methods
        return OAuth2Client(
            client_id=self._settings.client_id,
            client_secret=secret,
            token_endpoint_auth_method="client_secret_post" if secret and is_posted else None,
            scope=" ".join(self._settings.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            leeway=0,  # the token is used at once
        )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Say in our own words why the provider did not answer."""
        try:
            yield
        except AuthlibBaseError as error:
            logger.warning("%s refused a sign-in: %s", self.name, _short(error))
            raise SignInRefused(f"{self.name} refused ({_short(error)}); sign in again") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, JoseError, ValueError) as error:
            logger.warning("%s cannot be asked: %s", self.name, _short(error))
            raise ProviderUnavailable(
                f"{self.name} cannot be reached or does not answer as it should; try again later"
            ) from error


def _decode(text: str, described: Described) -> jwt.Token:
    registry = JWSRegistry(algorithms=described.algorithms, strict_check_header=False)
    return jwt.decode(text, described.keys, registry=registry)


def _object(reply: httpx2.Response) -> dict[str, Any]:
    reply.raise_for_status()
    found = reply.json()
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()).removesuffix(": ").rstrip(".:")
    return text[:LONGEST] or type(error).__name__
