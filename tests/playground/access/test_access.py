"""`Access`: who asks, and what is open to them, without a server."""

from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from playground.access import LOCAL, Access, Area, Credentials, People, check_exposure
from playground.access.paths import area_of, area_of_handler
from playground.api.edge import plain_path
from playground.errors import Forbidden, InvalidSettings, Unauthorized
from playground.settings import AccessSettings, load_settings
from playground.store.accounts import Accounts

MODELS = ("GET", "/v1/models")


def keyed(key: str = "sesame") -> Access:
    return Access.from_settings(AccessSettings(api_key=SecretStr(key)))


@pytest.mark.parametrize("header", ["Bearer sesame", "bearer sesame", "Bearer  sesame "])
def test_access_passes_right_key(header: str) -> None:
    assert keyed().admit(*MODELS, Credentials(header)).via == "key"


@pytest.mark.parametrize("header", [None, "", "sesame", "Bearer", "Basic sesame"])
def test_access_refuses_other_headers(header: str | None) -> None:
    with pytest.raises(Unauthorized, match="Authorization: Bearer"):
        keyed().admit(*MODELS, Credentials(header))


@pytest.mark.parametrize("header", ["Bearer open", "Bearer s\xe9same"])
def test_a_wrong_key_is_called_that(header: str) -> None:
    with pytest.raises(Unauthorized, match="this API key is not valid"):
        keyed().admit(*MODELS, Credentials(header))


def test_access_without_key_passes_all() -> None:
    access = Access.from_settings(AccessSettings())
    assert not access.needs_key
    assert access.admit(*MODELS, Credentials("Bearer anything")) is LOCAL


def test_access_takes_key_in_utf8() -> None:
    header = "Bearer schlüssel".encode().decode("latin-1")  # as a server decodes what was sent
    keyed("schlüssel").admit(*MODELS, Credentials(header))


def test_access_does_not_print_key() -> None:
    assert "sesame" not in repr(keyed())


def test_a_page_session_outlives_a_restart() -> None:
    session = keyed().new_page_session()
    assert keyed().admit("POST", "/gradio_api/queue/join", Credentials(page=session))


def test_a_page_session_ends_with_its_key() -> None:
    session = keyed().new_page_session()
    with pytest.raises(Unauthorized):
        keyed("another").admit("POST", "/gradio_api/queue/join", Credentials(page=session))


def test_a_page_session_is_no_key() -> None:
    with pytest.raises(Unauthorized):
        keyed().admit(*MODELS, Credentials(f"Bearer {keyed().new_page_session()}"))


def test_a_page_session_downloads_exports() -> None:
    page = Credentials(page=keyed().new_page_session())
    assert keyed().admit("GET", "/v1/exports/x.zip", page)
    with pytest.raises(Unauthorized):
        keyed().admit("DELETE", "/v1/files/x", page)


def test_no_two_page_sessions_are_alike() -> None:
    assert keyed().new_page_session() != keyed().new_page_session()


def test_unknown_paths_are_the_administrators() -> None:
    assert area_of("GET", "/v1/something/new") is Area.ADMIN
    assert area_of("GET", "/gradio_api/proxy=http://169.254.169.254/") is Area.ADMIN
    assert area_of_handler("playground.ui.something.events") is Area.ADMIN


def test_an_alias_is_the_same_path() -> None:
    assert plain_path("/v1/v1/fine_tuning/jobs") == "/v1/fine_tuning/jobs"
    assert plain_path("/v1//tokenize/") == "/tokenize"
    assert plain_path("/v1/v1nothing") == "/v1/v1nothing"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_an_open_network_is_refused(host: str) -> None:
    with pytest.raises(InvalidSettings, match=r"--password.*--demo.*--open"):
        check_exposure(load_settings({"server.host": host, "access.api_key": "sesame"}))


@pytest.mark.parametrize("flag", ["password", "accounts", "demo", "open"])
def test_each_named_flag_mends_it(flag: str) -> None:
    value = "correct-horse" if flag == "password" else True
    check_exposure(load_settings({"server.host": "0.0.0.0", f"access.{flag}": value}))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_loopback_asks_nothing(host: str) -> None:
    check_exposure(load_settings({"server.host": host}))


def test_a_forbidden_area_names_the_role() -> None:
    with pytest.raises(Forbidden, match="the role trainer"):
        LOCAL.__class__("ana", "a", frozenset(), via="session", role="user").require(Area.FINE_TUNE)


def test_a_forbidden_key_names_what_it_lacks(tmp_path: Path) -> None:
    with closing(People(Accounts(tmp_path))) as people:
        people.add_account("ana", "user", None)
        access = Access(people=people, asks=True)
        for scopes, lacks in (
            (["chat"], "the scope fine-tune"),
            (["fine-tune"], "the role trainer"),
        ):
            key = people.add_key("ci", scopes, account="ana").secret
            with pytest.raises(Forbidden, match=f"key ci .*may not use this; it takes {lacks}$"):
                access.admit("GET", "/v1/fine_tuning/jobs", Credentials(f"Bearer {key}"))
