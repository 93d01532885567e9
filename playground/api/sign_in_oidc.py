"""Signing in with a provider: there, back with its answer, and out again. Goes nowhere else."""

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from playground.access.oidc import SIGN_IN_S, OidcSignIn
from playground.api.gate import credentials_of
from playground.api.root import base_url, cookie_path
from playground.errors import PlaygroundError

OIDC_COOKIE: Final = "playground_oidc"
CALLBACK: Final = "/login/oidc/callback"

SignedIn = Callable[[Request, str, str], Response]
Refused = Callable[..., Response]


def oidc_router(oidc: OidcSignIn, signed_in: SignedIn, refused: Refused) -> APIRouter:
    """``/login/oidc``, the address that it sends browsers back to, and the way out."""
    router = APIRouter()

    @router.get("/login/oidc")
    def begin(http: Request) -> Response:
        try:
            begun = oidc.begin(callback_of(http, oidc), credentials_of(http.scope).address)
        except PlaygroundError as error:
            return refused(error, root="../")
        response = RedirectResponse(begun.url, 303, {"Cache-Control": "no-store"})
        response.set_cookie(
            OIDC_COOKIE,
            begun.browser,
            max_age=int(SIGN_IN_S),
            path=cookie_path(http.scope),
            httponly=True,
            samesite="lax",  # the provider's page sends the browser back
            secure=http.url.scheme == "https",
        )
        return response

    @router.get("/login/oidc/out")
    def sign_out(http: Request) -> Response:
        try:
            url = oidc.sign_out_url(credentials_of(http.scope).address)
        except PlaygroundError as error:
            return refused(error, root="../../")
        return RedirectResponse(url, 303, {"Cache-Control": "no-store"})

    @router.get(CALLBACK)
    def come_back(http: Request) -> Response:
        address = credentials_of(http.scope).address
        browser = http.cookies.get(OIDC_COOKIE, "")
        try:
            token = oidc.finish(dict(http.query_params), browser, address)
            response = signed_in(http, token, "../../")
        except PlaygroundError as error:
            response = refused(error, root="../../")
        response.delete_cookie(OIDC_COOKIE, cookie_path(http.scope))
        response.headers["Cache-Control"] = "no-store"
        return response

    return router


def callback_of(http: Request, oidc: OidcSignIn) -> str:
    """Return the address of the callback as the browser knows it: by the settings, or by the
    proxy's headers."""
    return oidc.redirect_uri or f"{base_url(http.scope)}{CALLBACK}"
