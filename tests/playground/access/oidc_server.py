"""A provider of OpenID Connect over HTTP that checks its clients as the standard has it, and signs
whatever a test wants it to say. It knows nobody's password: whoever asks is let in as `claims`.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

CLIENT, CLIENT_SECRET = "playground", "what-only-the-provider-knows"
ANA = {"sub": "subject-of-ana", "preferred_username": "ana.oidc", "email": "ana@ours.example",
       "email_verified": True, "groups": ["staff"]}  # fmt: skip

Claims = dict[str, Any]
Query = dict[str, str]


def new_key(name: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig", "alg": "ES256"})


@dataclass
class OidcServer:
    """``claims`` are of whoever signs in next, ``change`` makes what the token says of them, and
    ``sign`` the token; ``refusal`` is an error in the place of a code."""

    url: str = ""
    claims: Claims = field(default_factory=lambda: dict(ANA))
    change: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[[Claims], str] | None = None
    refusal: Query = field(default_factory=dict)
    metadata: Claims = field(default_factory=dict)
    codes: dict[str, Query] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @cached_property
    def key(self) -> ECKey:
        return new_key("first")

    def reset(self) -> None:
        """Say the truth about Ana again."""
        fresh = OidcServer()
        for name in ("claims", "change", "sign", "refusal", "metadata", "codes"):
            setattr(self, name, getattr(fresh, name))

    def described(self) -> Claims:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/out?theme=dark",
            "id_token_signing_alg_values_supported": ["ES256"],
        } | self.metadata

    def authorize(self, query: Query) -> str:
        """Return where the browser is sent back to."""
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        back = {"state": query["state"]}
        if self.refusal:
            return f"{query['redirect_uri']}?{urlencode(back | self.refusal)}"
        code = f"code-{len(self.codes)}-{time.monotonic_ns()}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode(back | {'code': code, 'iss': self.url})}"

    def token(self, form: Query, authorization: str) -> tuple[int, Claims]:
        """Return the tokens of a code: once, to the client, with its verifier and address."""
        given = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {given}":
            return 401, {"error": "invalid_client"}
        query = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if query is None or challenge != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if form.get("redirect_uri") != query["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        said = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60} | self.claims
        if "nonce" in query:
            said["nonce"] = query["nonce"]
        sign = self.sign or signed_by(self.key)
        tokens = {"id_token": sign(self.change(said)), "access_token": "access"}
        return 200, tokens | {"token_type": "Bearer", "expires_in": 60}


def signed_by(key: ECKey) -> Callable[[Claims], str]:
    header = {"alg": "ES256", "kid": key.kid}
    return lambda claims: jwt.encode(header, claims, key, algorithms=["ES256"])


def unsigned(claims: Claims) -> str:
    """``alg: none``."""
    parts = [{"alg": "none"}, claims]
    packed = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join(part.rstrip("=") for part in packed) + "."


def signed_by_secret(claims: Claims) -> str:
    """With the client's secret, which is no key of the provider's."""
    key = OctKey.import_key(CLIENT_SECRET * 2)
    return jwt.encode({"alg": "HS256"}, claims, key, algorithms=["HS256"])


@contextmanager
def oidc_server() -> Iterator[OidcServer]:
    """Run one on a port of this machine."""
    provider = OidcServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            provider.asked.append(url.path)
            match url.path:
                case "/.well-known/openid-configuration":
                    self.say(200, provider.described())
                case "/keys":
                    self.say(200, {"keys": [provider.key.as_dict(private=False)]})
                case "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(flat(url.query)))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                case "/userinfo" if self.headers["Authorization"] == "Bearer access":
                    self.say(200, provider.claims)
                case _:
                    self.say(404, {})

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            provider.asked.append(self.path)
            self.say(*provider.token(flat(form), self.headers.get("Authorization", "")))

        def say(self, status: int, body: Claims) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield provider
        server.shutdown()


def flat(query: str) -> Query:
    return {name: values[0] for name, values in parse_qs(query).items()}
