"""Signing in with a provider as a browser does it: addresses, cookies, and what the page says."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from playground.access import Access, People
from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.services import Services
from playground.settings import load_settings
from playground.store.accounts import Accounts
from tests.playground.access.oidc_server import CLIENT, CLIENT_SECRET, OidcServer, flat
from tests.playground.api.serving import running

START = "/login/oidc"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with closing(People(Accounts(tmp_path_factory.mktemp("home")))) as people:
        yield people


def app_of(people: People, provider: OidcServer, **more: Any) -> Any:
    settings = load_settings({
        "access.oidc.issuer": provider.url, "access.oidc.client_id": CLIENT,
        "access.oidc.client_secret": CLIENT_SECRET, "access.oidc.name": "Ours",
        "access.oidc.auto_create": True, **more,
    })  # fmt: skip
    backend: Any = ScriptedBackend(lambda request: ["fine"])
    return create_api(
        Services.create(backend, settings, Access.from_settings(settings.access, people))
    )


@pytest.fixture(scope="module")
def url(people: People, running_provider: OidcServer) -> Iterator[str]:
    with running(app_of(people, running_provider)) as url:
        yield url


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as browser:
        yield browser


def back_of(browser: httpx.Client, **headers: str) -> str:
    """The address that the provider sends the browser back to."""
    sent = browser.get(START, headers=headers)
    assert sent.status_code == 303, sent.text
    return str(httpx.get(sent.headers["location"]).headers["location"])


def test_a_browser_signs_in_and_out(browser: httpx.Client, provider: OidcServer) -> None:
    assert "Sign in with Ours" in browser.get("/login").text
    back = browser.get(back_of(browser))
    assert urljoin(str(back.url), back.headers["location"]) == f"{browser.base_url}/"
    cookies = [each.lower() for each in back.headers.get_list("set-cookie")]
    assert any("playground_session" in each and "httponly" in each for each in cookies)
    assert browser.get("/v1/models").status_code == 200
    out = browser.post("/logout")
    assert browser.get("/v1/models").status_code == 401
    page = browser.get(urljoin(str(out.url), out.headers["location"]))
    assert 'href="../login/oidc/out">Sign out of Ours, too' in page.text
    away = browser.get(urljoin(str(page.url), "../login/oidc/out"))
    assert (away.status_code, away.headers["location"]) == (
        303, f"{provider.url}/out?theme=dark&client_id={CLIENT}"
    )  # fmt: skip


def test_a_provider_without_a_way_out(people: People, provider: OidcServer) -> None:
    provider.metadata = {"end_session_endpoint": None}
    with running(app_of(people, provider)) as url:
        reply = httpx.get(f"{url}/login/oidc/out")
    assert reply.status_code == 503
    assert "Ours names no address to sign out at" in reply.text


def test_a_proxys_address_is_sent(browser: httpx.Client, provider: OidcServer) -> None:
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "play.example"}
    sent = browser.get(START, headers=proxied)
    query = flat(sent.headers["location"].partition("?")[2])
    assert query["redirect_uri"] == "https://play.example/login/oidc/callback"
    assert "secure" in sent.headers["set-cookie"].lower()


def test_a_host_that_is_none_does_not_count(browser: httpx.Client, provider: OidcServer) -> None:
    sent = browser.get(START, headers={"X-Forwarded-Host": 'evil.example/"><script>'})
    query = flat(sent.headers["location"].partition("?")[2])
    assert query["redirect_uri"] == str(browser.base_url.join("/login/oidc/callback"))


def test_a_refusal_is_shown_as_text(browser: httpx.Client, provider: OidcServer) -> None:
    provider.refusal = {"error": "access_denied", "error_description": "<b>Not today"}
    reply = browser.get(back_of(browser))
    assert reply.status_code == 403
    assert "Ours did not let you in: &lt;b&gt;Not today." in reply.text
    assert 'action="../../login"' in reply.text


def test_words_of_strangers_are_not_shown(browser: httpx.Client, provider: OidcServer) -> None:
    query = {"state": "made-up", "error": "x", "error_description": "Call 555-1234"}
    reply = browser.get(f"{START}/callback", params=query)
    assert reply.status_code == 403
    assert "555" not in reply.text
    assert "sign in again" in reply.text


def test_no_address_is_taken_to_go_on_to(browser: httpx.Client, provider: OidcServer) -> None:
    sent = browser.get(f"{START}?next=https://evil.example&redirect_uri=https://evil.example")
    assert "evil" not in sent.headers["location"]
    back = httpx.get(sent.headers["location"]).headers["location"]
    reply = browser.get(f"{back}&next=https://evil.example")
    assert reply.headers["location"] == "../../"


def test_accounts_are_linked_by_the_api(
    url: str, browser: httpx.Client, people: People, provider: OidcServer
) -> None:
    headers = {"Authorization": f"Bearer {people.add_key('root', ['admin']).secret}"}

    def post(path: str, **body: object) -> dict[str, Any]:
        reply = browser.post(f"/v1/admin/{path}", json=body, headers=headers)
        return dict(reply.json())

    assert not post("users", name="dora")["has_password"]
    assert post("users/dora", subject="subject-of-dora")["is_linked"]
    provider.claims["sub"] = "subject-of-dora"
    assert browser.get(back_of(browser)).status_code == 303
    assert people.audit()[0].who == "dora"
    assert not post("users/dora", subject=None)["is_linked"]
    assert post("users/dora", subject=" ")["error"]["param"] == "subject"


def test_a_provider_that_is_gone_breaks_nothing(people: People, provider: OidcServer) -> None:
    flags = {"access.oidc.issuer": "http://127.0.0.1:1", "access.accounts": True}
    people.ensure_admin("correct-horse")
    with (
        running(app_of(people, provider, **flags)) as url,
        httpx.Client(base_url=url) as browser,
    ):
        reply = browser.get(START)
        assert (reply.status_code, "Ours cannot be reached" in reply.text) == (503, True)
        form = {"name": "admin", "password": "correct-horse"}
        assert browser.post("/login", data=form).status_code == 303


def test_passwords_can_be_left_out(people: People, provider: OidcServer) -> None:
    people.ensure_admin("correct-horse")
    with running(app_of(people, provider, **{"access.oidc.only": True})) as url:
        page = httpx.get(f"{url}/login").text
        assert "Sign in with Ours" in page
        assert "<form" not in page
        form = {"name": "admin", "password": "correct-horse"}
        assert httpx.post(f"{url}/login", data=form).status_code == 403
