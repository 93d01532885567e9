"""Accounts, sessions and keys over a real database."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from playground.access import Access, Credentials, People
from playground.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    LimitReached,
    Unauthorized,
)
from playground.settings import AccessSettings
from playground.store.accounts import Accounts

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def people(home: Path) -> Iterator[People]:
    with closing(People(Accounts(home))) as people:
        yield people
        for key in people.api_keys():
            people.revoke_key(key.id)
        for account in sorted(people.accounts(), key=lambda account: account.role == "admin"):
            people._accounts.remove(account.name)


def access_of(people: People) -> Access:
    return Access.from_settings(AccessSettings(accounts=True), people)


def test_a_password_is_kept_as_argon2(people: People, home: Path) -> None:
    account = people.add_account("ana", "user", PASSWORD)
    assert (account.password or "").startswith("$argon2id$")
    assert PASSWORD.encode() not in (home / "playground.db").read_bytes()


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [("a b", "user", PASSWORD), ("ana", "king", PASSWORD), ("ana", "user", "short")],
)
def test_a_bad_account_is_refused(people: People, name: str, role: str, password: str) -> None:
    with pytest.raises(InvalidRequest):
        people.add_account(name, role, password)


def test_a_session_opens_and_ends(people: People) -> None:
    people.add_account("ana", "user", PASSWORD)
    token = people.sign_in("ana", PASSWORD)
    account = people.account_of_session(token)
    assert account is not None
    assert account.name == "ana"
    people.sign_out(token)
    assert people.account_of_session(token) is None


def test_a_session_ends_by_itself(home: Path, people: People) -> None:
    people.add_account("ana", "user", PASSWORD)
    with closing(People(Accounts(home), session_hours=0)) as brief:
        assert brief.account_of_session(brief.sign_in("ana", PASSWORD)) is None


def test_a_new_role_ends_sessions(people: People) -> None:
    people.add_account("ana", "user", PASSWORD)
    token = people.sign_in("ana", PASSWORD)
    people.change_account("ana", role="trainer")
    assert people.account_of_session(token) is None


def test_wrong_passwords_are_limited(people: People) -> None:
    people.add_account("ana", "user", PASSWORD)
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="name or password"):
            people.sign_in("ana", "wrong", "10.0.0.1")
    for _ in range(8):
        people.attempts.hit(_item(), "address:10.0.0.1")
    with pytest.raises(LimitReached):
        people.sign_in("ana", PASSWORD, "10.0.0.1")


def _item():
    from playground.access.people import ATTEMPTS

    return ATTEMPTS


def test_the_setup_link_works_once(people: People) -> None:
    token = people.setup_token()
    assert token is not None
    with pytest.raises(Conflict):
        people.set_up("guess", "eve", PASSWORD)
    assert people.account_of_session(people.set_up(token, "root", PASSWORD))
    with pytest.raises(Conflict):
        people.set_up(token, "eve", PASSWORD)


def test_the_last_administrator_stays(people: People) -> None:
    people.ensure_admin(PASSWORD)
    for change in ({"role": "user"}, {"disabled": True}):
        with pytest.raises(Conflict, match="last administrator"):
            people.change_account("admin", **change)
    with pytest.raises(Conflict, match="last administrator"):
        people.remove_account("admin")


def test_a_key_is_kept_as_a_hash(people: People, home: Path) -> None:
    secret = people.add_key("ci", ["chat"]).secret
    files = [path.read_bytes() for path in home.iterdir() if path.name.startswith("playground.db")]
    assert not any(secret.encode() in content for content in files)


def test_a_revoked_key_opens_nothing(people: People) -> None:
    made, access = people.add_key("ci", ["chat"]), access_of(people)
    given = Credentials(f"Bearer {made.secret}")
    assert access.admit("GET", "/v1/models", given).name == "key ci"
    people.revoke_key(made.key.hint)
    with pytest.raises(Unauthorized):
        access.admit("GET", "/v1/models", given)


def test_an_expired_key_opens_nothing(people: People) -> None:
    made = people.add_key("ci", ["chat"], days=1e-9)
    with pytest.raises(Unauthorized):
        access_of(people).admit("GET", "/v1/models", Credentials(f"Bearer {made.secret}"))


def test_a_key_notes_its_last_use(people: People) -> None:
    made = people.add_key("ci", ["chat"])
    access_of(people).admit("GET", "/v1/models", Credentials(f"Bearer {made.secret}"))
    assert people.api_keys()[0].last_used is not None


def test_a_key_does_no_more_than_its_account(people: People) -> None:
    people.add_account("ana", "user", PASSWORD)
    made = people.add_key("ci", ["admin"], account="ana")
    with pytest.raises(Forbidden):
        access_of(people).admit("GET", "/v1/admin/keys", Credentials(f"Bearer {made.secret}"))


@pytest.mark.parametrize("scopes", [[], ["chat", "root"]])
def test_unknown_scopes_are_refused(people: People, scopes: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="scopes"):
        people.add_key("ci", scopes)


def test_the_audit_log_says_who_did_what(people: People) -> None:
    people.add_account("ana", "user", PASSWORD)
    latest = people.audit()[0]
    assert (latest.who, latest.what, latest.about) == (
        "this machine", "account added", "ana (user)",
    )  # fmt: skip
