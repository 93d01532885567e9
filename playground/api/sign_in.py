"""Signing in and out, by password or by a provider, and the link of the first start: forms without
a script.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form
from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from playground.access import Access, People
from playground.api.errors import translate
from playground.api.gate import SESSION_COOKIE, credentials_of
from playground.api.root import cookie_path
from playground.api.sign_in_oidc import oidc_router
from playground.errors import Forbidden, InvalidRequest, PlaygroundError

Field = Annotated[str, Form()]
LONGEST_NAME = 64
"""Of a longer one only the beginning is looked for, kept and shown."""


def sign_in_router(access: Access) -> APIRouter:
    """``/login``, ``/logout``, ``/setup``; none where nobody signs in."""
    router = APIRouter()
    people = access.people
    if people is None or not access.asks:
        return router
    environment = Environment(loader=PackageLoader("playground.api"), autoescape=True)
    template = environment.get_template("sign_in.html")

    oidc = access.oidc

    def form(problem: str = "", status: int = 200, **values: str) -> HTMLResponse:
        shown = {
            "token": "",
            "name": "",
            "root": "./",
            "signed_out": "",
            "demo": access.demo,
            **values,
        }
        return HTMLResponse(template.render(problem=problem, oidc=oidc, **shown), status)

    def refused(error: PlaygroundError, **values: str) -> Response:
        reply = translate(error)
        problem = error.problem if isinstance(error, InvalidRequest) else error.message
        response = form(problem, reply.status, **values)
        response.headers.update(reply.headers)
        return response

    def answered(http: Request, sign_in: Callable[[], str], **values: str) -> Response:
        try:
            token = sign_in()
        except PlaygroundError as error:
            return refused(error, **values)
        return signed_in_as(http, token, "./")

    @router.get("/login")
    async def show() -> Response:
        return form()

    @router.get("/login/out")
    async def show_signed_out() -> Response:
        return form(root="../", signed_out="yes")

    @router.post("/login")
    def sign_in(http: Request, name: Field = "", password: Field = "") -> Response:
        if oidc and oidc.only:
            return refused(Forbidden(f"sign in with {oidc.name}; passwords are not taken here"))
        address, name = credentials_of(http.scope).address, name[:LONGEST_NAME]
        return answered(http, lambda: people.sign_in(name, password, address), name=name)

    @router.get("/setup")
    def show_setup(token: str = "") -> Response:
        return _setup_form(people, form, token)

    @router.post("/setup")
    def set_up(
        http: Request, token: Field = "", name: Field = "", password: Field = ""
    ) -> Response:
        made = {"name": name[: LONGEST_NAME + 1], "token": token[:LONGEST_NAME]}
        return answered(http, lambda: people.set_up(token, name, password), **made)

    @router.post("/logout")
    def sign_out(http: Request) -> Response:
        people.sign_out(credentials_of(http.scope).session or "")
        response = RedirectResponse("login/out", 303)
        response.delete_cookie(SESSION_COOKIE, cookie_path(http.scope))
        return response

    if oidc:
        router.include_router(oidc_router(oidc, signed_in_as, refused))
    return router


def signed_in_as(http: Request, token: str, to: str) -> Response:
    """Send the browser on with the cookie of its session."""
    response = RedirectResponse(to, 303)
    secure = http.url.scheme == "https"
    response.set_cookie(
        SESSION_COOKIE, token, path=cookie_path(http.scope), httponly=True, samesite="lax",
        secure=secure,
    )  # fmt: skip
    return response


def _setup_form(people: People, form: Callable[..., HTMLResponse], token: str) -> Response:
    if people.setup_token() is None:
        return RedirectResponse("login", 303)
    return form(token=token)
