"""`Access`: the API key, without a server."""

import pytest
from pydantic import SecretStr

from playground.access import Access
from playground.errors import Unauthorized
from playground.settings import AccessSettings

KEYED = Access.from_settings(AccessSettings(api_key=SecretStr("sesame")))


@pytest.mark.parametrize("header", ["Bearer sesame", "bearer sesame", "Bearer  sesame "])
def test_access_passes_right_key(header: str) -> None:
    KEYED.check(header)


@pytest.mark.parametrize(
    "header", [None, "", "sesame", "Bearer", "Bearer open", "Basic sesame", "Bearer s\xe9same"]
)
def test_access_refuses_other_headers(header: str | None) -> None:
    with pytest.raises(Unauthorized, match="Authorization: Bearer"):
        KEYED.check(header)


def test_access_without_key_passes_all() -> None:
    access = Access.from_settings(AccessSettings())
    assert not access.needs_key
    access.check(None)
    access.check("Bearer anything")


def test_access_takes_key_in_utf8() -> None:
    header = "Bearer schlüssel".encode().decode("latin-1")  # as a server decodes what was sent
    Access("schlüssel").check(header)


def test_access_does_not_print_key() -> None:
    assert "sesame" not in repr(KEYED)


def keyed(key: str) -> Access:
    return Access.from_settings(AccessSettings(api_key=SecretStr(key)))


def test_a_page_session_outlives_a_restart() -> None:
    keyed("sesame").check_page(None, keyed("sesame").new_page_session())


def test_a_page_session_ends_with_its_key() -> None:
    session = keyed("sesame").new_page_session()
    with pytest.raises(Unauthorized):
        keyed("another").check_page(None, session)


def test_a_page_session_is_no_key() -> None:
    with pytest.raises(Unauthorized):
        KEYED.check(f"Bearer {KEYED.new_page_session()}")


def test_the_key_opens_the_page_too() -> None:
    KEYED.check_page("Bearer sesame", None)


def test_no_two_page_sessions_are_alike() -> None:
    assert KEYED.new_page_session() != KEYED.new_page_session()
