"""Signing in by the forms, and what belongs to whom, over real HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import openai
import pytest

from playground.access import Access, People
from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.models.resident import ResidentModel
from playground.models.spec import ModelSpec
from playground.services import Services
from playground.settings import load_settings
from playground.store.accounts import Accounts
from playground.store.completions import Completions
from playground.store.conversations import Conversations
from playground.studio.studio import Studio
from tests.playground.api.serving import running

PASSWORD = "correct-horse"
HELLO: list[Any] = [{"role": "user", "content": "Hello!"}]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with closing(People(Accounts(tmp_path_factory.mktemp("home")))) as people:
        people.ensure_admin(PASSWORD)
        for name in ("ana", "bo"):
            people.add_account(name, "trainer", PASSWORD)
        yield people


@pytest.fixture(scope="module")
def url(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    settings = load_settings({"home": str(home), "access.accounts": True})
    backend: Any = ScriptedBackend(lambda request: ["fine"])
    with ExitStack() as stack:
        services = Services.create(
            backend,
            settings,
            Access.from_settings(settings.access, people),
            studio=Studio(home, ResidentModel("scripted", ModelSpec("embedded")), backend),
            completions=stack.enter_context(closing(Completions(home))),
            conversations=stack.enter_context(closing(Conversations(home))),
        )
        yield stack.enter_context(running(create_api(services)))


@pytest.fixture(scope="module")
def keys(people: People) -> dict[str, str]:
    made = {name: people.add_key(name, ["chat", "files"], account=name) for name in ("ana", "bo")}
    made["admin"] = people.add_key("root", ["admin"])
    return {name: key.secret for name, key in made.items()}


def client(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def test_a_form_signs_in_and_out(url: str) -> None:
    with httpx.Client(base_url=url) as browser:
        assert browser.get("/").headers["location"] == "login"
        wrong = browser.post("/login", data={"name": "ana", "password": "<b>"})
        assert (wrong.status_code, "is wrong" in wrong.text) == (400, True)
        right = browser.post("/login", data={"name": "ana", "password": PASSWORD})
        assert right.status_code == 303
        assert {"httponly", "samesite=lax"} <= set(
            right.headers["set-cookie"].lower().replace(" ", "").split(";")
        )
        assert browser.get("/v1/models").status_code == 200
        browser.post("/logout")
        assert browser.get("/v1/models").status_code == 401


def test_a_form_shows_names_as_text(url: str) -> None:
    reply = httpx.post(f"{url}/login", data={"name": '"><script>', "password": "x"})
    assert "<script>" not in reply.text


def test_another_origin_uses_no_session(url: str) -> None:
    with httpx.Client(base_url=url) as browser:
        browser.post("/login", data={"name": "ana", "password": PASSWORD})
        reply = browser.delete("/v1/files/file-x", headers={"Sec-Fetch-Site": "same-site"})
        assert reply.status_code == 403


def test_a_scope_is_a_limit(url: str, keys: dict[str, str]) -> None:
    with client(url, keys["ana"]) as ana, pytest.raises(openai.PermissionDeniedError) as refused:
        ana.fine_tuning.jobs.list()
    assert refused.value.code == "forbidden"


def test_a_key_is_made_by_the_api(url: str, keys: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {keys['admin']}"}
    made = httpx.post(
        f"{url}/v1/admin/keys", json={"name": "ci", "user": "ana"}, headers=headers
    ).json()
    with client(url, made["key"]) as ci:
        assert ci.models.list().data
        httpx.delete(f"{url}/v1/admin/keys/{made['id']}", headers=headers)
        with pytest.raises(openai.AuthenticationError):
            ci.models.list()
    shown = httpx.get(f"{url}/v1/admin/keys", headers=headers).text
    assert made["key"] not in shown


def test_budgets_are_changed_by_the_api(url: str, keys: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {keys['admin']}"}

    def post(path: str, **body: object) -> httpx.Response:
        return httpx.post(f"{url}/v1/admin/{path}", json=body, headers=headers)

    with httpx.Client(base_url=url) as browser:
        browser.post("/login", data={"name": "bo", "password": PASSWORD})
        post("users/bo", usd_per_day=2)
        changed = post("users/bo", usd_per_month=9).json()
        assert (changed["usd_per_day"], changed["usd_per_month"]) == (2, 9)
        assert browser.get("/v1/models").status_code == 200  # still signed in
    assert post("users/bo", usd_per_day=None).json()["usd_per_day"] is None
    made = post("keys", name="ci", usd_per_day=0.5).json()
    assert post(f"keys/{made['id']}", usd_per_month=3).json()["usd_per_day"] == 0.5
    assert post("users/bo", usd_per_day=-1).json()["error"]["param"] == "usd_per_day"
    assert post("users", name="cy").json()["error"]["param"] == "password"


def test_files_are_their_owners(url: str, keys: dict[str, str]) -> None:
    with client(url, keys["ana"]) as ana, client(url, keys["bo"]) as bo:
        file = ana.files.create(file=("rows.jsonl", b'{"text": "x"}\n'), purpose="fine-tune")
        assert [each.id for each in ana.files.list()] == [file.id]
        assert not list(bo.files.list())
        for call in (bo.files.retrieve, bo.files.content, bo.files.delete):
            with pytest.raises(openai.NotFoundError):
                call(file.id)
        with client(url, keys["admin"]) as admin:
            assert file.id in [each.id for each in admin.files.list()]


def test_stored_answers_are_their_owners(url: str, keys: dict[str, str]) -> None:
    with client(url, keys["ana"]) as ana, client(url, keys["bo"]) as bo:
        made = ana.chat.completions.create(model="scripted", messages=HELLO, store=True)
        assert ana.chat.completions.retrieve(made.id).id == made.id
        assert made.id not in [each.id for each in bo.chat.completions.list()]
        for call in (bo.chat.completions.retrieve, bo.chat.completions.delete):
            with pytest.raises(openai.NotFoundError):
                call(made.id)


def test_conversations_are_their_owners(url: str, keys: dict[str, str]) -> None:
    with client(url, keys["ana"]) as ana, client(url, keys["bo"]) as bo:
        made = ana.conversations.create()
        with pytest.raises(openai.NotFoundError):
            bo.conversations.delete(made.id)
        assert ana.conversations.retrieve(made.id).id == made.id
