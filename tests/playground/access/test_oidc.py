"""Signing in with a provider, over HTTP to one: who is let in as whom, and what is refused."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from playground.access import Access, People
from playground.access.oidc import AT_ONCE, OidcSignIn, open_oidc
from playground.errors import InvalidSettings, LimitReached, ProviderUnavailable, SignInRefused
from playground.settings import OidcSettings, load_settings
from playground.store.accounts import Account, Accounts
from tests.playground.access.oidc_server import (
    ANA,
    CLIENT,
    CLIENT_SECRET,
    OidcServer,
    flat,
    new_key,
    signed_by,
    signed_by_secret,
    unsigned,
)

pytestmark = pytest.mark.slow
CALLBACK = "https://play.example/login/oidc/callback"
PASSWORD = "correct-horse"
Opened = Callable[..., OidcSignIn]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    with closing(People(Accounts(tmp_path))) as people:
        yield people


@pytest.fixture
def opened(provider: OidcServer, people: People) -> Opened:
    """Signing in with the provider as these settings say; new accounts are made."""

    def open_with(**settings: object) -> OidcSignIn:
        chosen = {
            "issuer": provider.url, "client_id": CLIENT, "client_secret": CLIENT_SECRET,
            "auto_create": True, "name": "Ours",
        } | settings  # fmt: skip
        found = open_oidc(OidcSettings.model_validate(chosen), people)
        assert found is not None
        return found

    return open_with


def there_and_back(oidc: OidcSignIn) -> tuple[dict[str, str], str]:
    """What the browser brings back, and its cookie."""
    begun = oidc.begin(CALLBACK)
    back = httpx.get(begun.url).headers["location"]
    assert back.partition("?")[0] == CALLBACK
    return flat(urlsplit(back).query), begun.browser


def signed_in(oidc: OidcSignIn, people: People) -> Account:
    account = people.account_of_session(oidc.finish(*there_and_back(oidc)))
    assert account is not None
    return account


def test_a_subject_gets_its_account(opened: Opened, people: People, provider: OidcServer) -> None:
    first = signed_in(opened(), people)
    assert (first.name, first.role, first.password) == ("ana.oidc", "user", None)
    provider.claims["preferred_username"] = "ana.married"
    assert signed_in(opened(), people).id == first.id


def test_only_known_names_are_let_in(opened: Opened, people: People) -> None:
    known_only = opened(auto_create=False)
    with pytest.raises(SignInRefused, match=r"no account ana\.oidc"):
        signed_in(known_only, people)
    known = people.add_account("ana.oidc", "trainer", None)
    account = signed_in(known_only, people)
    assert (account.id, account.role) == (known.id, "trainer")


def test_an_account_with_a_password_is_not_taken(opened: Opened, people: People) -> None:
    people.add_account("ana.oidc", "admin", PASSWORD)
    with pytest.raises(SignInRefused, match="with a password"):
        signed_in(opened(), people)
    people.link("ana.oidc", opened().issuer, str(ANA["sub"]))
    assert signed_in(opened(), people).role == "admin"


def test_an_account_has_one_subject(opened: Opened, people: People, provider: OidcServer) -> None:
    signed_in(opened(), people)
    provider.claims["sub"] = "somebody-else"
    with pytest.raises(SignInRefused, match="linked to somebody else"):
        signed_in(opened(), people)


def test_an_id_is_no_name(opened: Opened, people: People, provider: OidcServer) -> None:
    known = people.add_account("bo", "admin", None)
    provider.claims["preferred_username"] = known.id
    assert signed_in(opened(), people).id != known.id


def test_groups_give_roles(opened: Opened, people: People, provider: OidcServer) -> None:
    by_group = opened(roles=["staff=user", "trainers=trainer"], default_role="none")
    provider.claims["groups"] = ["staff", "trainers"]
    assert signed_in(by_group, people).role == "trainer"
    provider.claims["groups"] = ["staff"]
    assert signed_in(by_group, people).role == "user"
    provider.claims["groups"] = []
    with pytest.raises(SignInRefused, match="no group"):
        signed_in(by_group, people)


def test_roles_without_groups_stay(opened: Opened, people: People) -> None:
    people.change_account(signed_in(opened(), people).name, role="trainer")
    assert signed_in(opened(), people).role == "trainer"


def test_nested_groups_come_from_userinfo(
    opened: Opened, people: People, provider: OidcServer
) -> None:
    provider.claims["realm_access"] = {"roles": ["boss"]}
    provider.change = lambda claims: {k: v for k, v in claims.items() if k != "realm_access"}
    nested = opened(groups_claim="realm_access.roles", roles=["boss=admin"])
    assert signed_in(nested, people).role == "admin"


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"email": "ana@ours.example.evil.example"}, "of no domain"),
        ({"email": "ours.example"}, "of no domain"),
        ({"email": None}, "of no domain"),
        ({"email_verified": False}, "verified"),
        ({"email_verified": "true"}, "verified"),
    ],
)
def test_other_domains_are_refused(
    opened: Opened, people: People, provider: OidcServer, claims: dict[str, object], problem: str
) -> None:
    ours = opened(email_domains=["ours.example"])
    assert signed_in(ours, people)
    provider.claims |= claims
    with pytest.raises(SignInRefused, match=problem):
        signed_in(ours, people)


@pytest.mark.parametrize("name", [None, "", "a b", "x" * 65, 7])
def test_a_name_that_is_none_is_refused(
    opened: Opened, people: People, provider: OidcServer, name: object
) -> None:
    provider.claims["preferred_username"] = name
    with pytest.raises(SignInRefused, match="preferred_username"):
        signed_in(opened(), people)
    assert not people.accounts()


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "of-another-sign-in"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": ["another-client"], "azp": CLIENT},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"iss": "https://evil.example"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
        {"iat": 4_000_000_000},
    ],
    ids=str,
)
def test_a_wrong_claim_is_refused(
    opened: Opened, people: People, provider: OidcServer, change: dict[str, object]
) -> None:
    provider.change = lambda claims: {
        name: value for name, value in (claims | change).items() if value is not None
    }
    with pytest.raises(SignInRefused, match=r"cannot be trusted|has expired"):
        signed_in(opened(), people)
    assert not people.accounts()


@pytest.mark.parametrize(
    "sign", [unsigned, signed_by_secret, signed_by(new_key("first")), signed_by(new_key("second")),
             lambda claims: "no.token"],
)  # fmt: skip
def test_a_wrong_signature_is_refused(
    opened: Opened, people: People, provider: OidcServer, sign: Callable[[dict[str, object]], str]
) -> None:
    provider.sign = sign
    with pytest.raises(SignInRefused, match="cannot be trusted"):
        signed_in(opened(), people)


def test_algorithms_of_the_provider_are_not_all_taken(
    opened: Opened, people: People, provider: OidcServer
) -> None:
    provider.metadata = {"id_token_signing_alg_values_supported": ["ES256", "HS256", "none"]}
    provider.sign = unsigned
    with pytest.raises(SignInRefused, match="cannot be trusted"):
        signed_in(opened(), people)


def test_an_answer_is_taken_once(opened: Opened, people: People) -> None:
    oidc = opened()
    query, browser = there_and_back(oidc)
    assert oidc.finish(query, browser)
    with pytest.raises(SignInRefused, match="was used"):
        oidc.finish(query, browser)


def test_an_answer_belongs_to_its_browser(opened: Opened, people: People) -> None:
    oidc = opened()
    query, _ = there_and_back(oidc)
    _, another = there_and_back(oidc)
    with pytest.raises(SignInRefused, match="not begun in this browser"):
        oidc.finish(query, another)


def test_an_answer_outlives_a_restart(opened: Opened, people: People) -> None:
    query, browser = there_and_back(opened())
    assert opened().finish(query, browser)


def test_a_late_answer_is_refused(
    opened: Opened, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.access.oidc.SIGN_IN_S", 0.0)
    with pytest.raises(SignInRefused, match="took too long"):
        signed_in(opened(), people)


def test_another_providers_answer_is_refused(opened: Opened) -> None:
    oidc = opened()
    query, browser = there_and_back(oidc)
    with pytest.raises(SignInRefused, match="not of Ours"):
        oidc.finish(query | {"iss": "https://evil.example"}, browser)


def test_a_refusal_is_told(opened: Opened, people: People, provider: OidcServer) -> None:
    provider.refusal = {"error": "access_denied", "error_description": "Not\0 today."}
    with pytest.raises(SignInRefused, match=r"did not let you in: Not today$"):
        signed_in(opened(), people)
    assert people.audit()[0].what == "sign-in refused"


def test_a_refusal_without_a_state_is_told(opened: Opened) -> None:
    with pytest.raises(SignInRefused, match=r"did not let you in \(access_denied\)"):
        opened().finish({"error": "access_denied", "error_description": "Call 555"}, "")


def test_a_used_code_is_told(opened: Opened, people: People, provider: OidcServer) -> None:
    oidc = opened()
    query, browser = there_and_back(oidc)
    provider.codes.clear()
    with pytest.raises(SignInRefused, match=r"Ours refused .*invalid_grant"):
        oidc.finish(query, browser)


def test_a_wrong_secret_is_told(opened: Opened, people: People) -> None:
    with pytest.raises(SignInRefused, match="invalid_client") as refused:
        signed_in(opened(client_secret="guessed-secret"), people)
    assert "guessed-secret" not in refused.value.message


def test_new_keys_are_fetched(
    opened: Opened, people: People, provider: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.access.oidc_provider.REFETCH_S", 0.0)
    oidc = opened()
    signed_in(oidc, people)
    before, provider.key = provider.key, new_key("next")
    try:
        assert signed_in(oidc, people)
    finally:
        provider.key = before


def test_a_provider_that_is_gone_is_told(opened: Opened, people: People) -> None:
    with pytest.raises(ProviderUnavailable, match="Ours cannot be reached"):
        opened(issuer="http://127.0.0.1:1").begin(CALLBACK)


def test_a_provider_that_was_gone_is_asked_again(
    opened: Opened, people: People, provider: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    oidc = opened()
    provider.metadata = {"token_endpoint": None}
    for _ in range(2):
        with pytest.raises(ProviderUnavailable, match="does not say its token_endpoint"):
            oidc.begin(CALLBACK)
        provider.metadata = {}  # which is not looked at at once
    monkeypatch.setattr("playground.access.oidc_provider.FAILED_S", 0.0)
    assert signed_in(oidc, people)


def test_few_ask_the_provider_at_once(opened: Opened) -> None:
    oidc = opened()
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(oidc._asking())
        with pytest.raises(LimitReached, match="in a moment"):
            oidc.begin(CALLBACK)
    assert oidc.begin(CALLBACK)


def test_a_provider_of_another_name_is_told(opened: Opened, provider: OidcServer) -> None:
    provider.metadata = {"issuer": "https://evil.example"}
    with pytest.raises(ProviderUnavailable, match=r"calls itself https://evil\.example"):
        opened().begin(CALLBACK)


def test_a_disabled_account_stays_out(opened: Opened, people: People) -> None:
    people.ensure_admin(PASSWORD)
    people.change_account(signed_in(opened(), people).name, disabled=True)
    with pytest.raises(SignInRefused, match="is disabled"):
        signed_in(opened(), people)


def test_the_last_administrator_keeps_the_role(
    opened: Opened, people: People, provider: OidcServer
) -> None:
    by_group = opened(roles=["boss=admin"])
    provider.claims["groups"] = ["boss"]
    assert signed_in(by_group, people).role == "admin"
    provider.claims["groups"] = []
    assert signed_in(by_group, people).role == "admin"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"issuer": "http://login.example.org"}, "begin with https"),
        ({"issuer": "login.example.org"}, "write https"),
        ({"issuer": "https://login.example.org"}, "client_id: the provider"),
        ({"client_id": "x"}, "issuer: name"),
        ({"roles": ["staff=king"]}, "GROUP=ROLE"),
        ({"scopes": ["email"]}, "openid must be among"),
        ({"email_domains": ["*.example"]}, "write a domain"),
        ({"only": True}, "only: there is no issuer"),
        ({"client_secret": "hush-hush", "client_secret_file": "x", "issuer": "https://a.example",
          "client_id": "x"}, "not both"),
    ],
)  # fmt: skip
def test_wrong_settings_are_explained(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidSettings) as error:
        load_settings({f"access.oidc.{name}": value for name, value in settings.items()})
    assert problem in error.value.message
    assert "hush-hush" not in error.value.message


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "playground.yaml").write_text(
        "access: {oidc: {issuer: 'https://a.example', client_id: x, roles: [staff=user]}}"
    )
    monkeypatch.setenv("PLAYGROUND_ACCESS__OIDC__CLIENT_SECRET", "hush-hush")
    monkeypatch.setenv("PLAYGROUND_ACCESS__OIDC__EMAIL_DOMAINS", "@Ours.example")
    chosen = load_settings({"access.oidc.name": "Ours"}).access.oidc
    assert (chosen.client_secret, chosen.name) == (SecretStr("hush-hush"), "Ours")
    assert chosen.email_domains == ("ours.example",)
    assert [str(each) for each in chosen.roles] == ["staff=user"]


def test_a_secret_is_read_from_a_file(people: People, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    settings = OidcSettings(
        issuer="https://a.example", client_id="x", client_secret_file=file, name="Ours"
    )
    with pytest.raises(InvalidSettings, match="client_secret_file"):
        open_oidc(settings, people)
    file.write_text("from-the-file\n")
    assert settings.secret() == SecretStr("from-the-file")


def test_a_provider_is_somebody_to_ask() -> None:
    settings = load_settings({"access.oidc.issuer": "https://a.example",
                              "access.oidc.client_id": "x"})  # fmt: skip
    assert settings.access.asks
    assert Access.from_settings(settings.access).oidc is None  # there are no accounts
