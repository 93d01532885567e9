"""The page's own endpoints under the API's rules: key, limits, and a clear answer to nonsense."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from gradio_client import Client  # type: ignore[import-untyped]
from gradio_client.exceptions import AuthenticationError  # type: ignore[import-untyped]

from playground.access import Identity, acting_as
from playground.access.identity import LinkRules
from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.lab.prompts import Prompts
from playground.protocol import ModelInfo
from playground.services import Services
from playground.settings import Flags, load_settings
from playground.store import Feedback
from playground.studio.studio import Studio
from playground.ui import build_page, mount_page
from playground.ui.components.answering import Answering
from playground.ui.page import ModelChoices
from tests.playground.api.serving import running

KEY = {"Authorization": "Bearer sesame"}
CHAT, CHAT_V2 = "/gradio_api/call/chat", "/gradio_api/call/v2/chat"
EVENT: dict[str, Any] = {"data": [], "fn_index": 0, "session_hash": "abc"}
MIB = 2**20


Served = Callable[[Flags], str]


@pytest.fixture(scope="module")
def serve_page(backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``serve_page({"access.api_key": …})`` gives the URL of API and page over a script."""
    scripted = ScriptedBackend(lambda request: ["Hello", ", you."])
    models = [ModelInfo("scripted", context_length=4096)]

    async def build(services: Services) -> FastAPI:  # Gradio leaves a loop open without one
        return mount_page(create_api(services), build_page(services, models))

    with ExitStack() as stack:

        def start(settings: Flags) -> str:
            home = tmp_path_factory.mktemp("home")
            chosen = load_settings({"home": str(home), **settings})
            studio = Studio(home, backend.loaded, backend)
            feedback = stack.enter_context(closing(Feedback(home)))
            prompts = stack.enter_context(closing(Prompts(home)))
            services = Services.create(
                scripted, chosen, studio=studio, feedback=feedback, prompts=prompts
            )
            return stack.enter_context(running(asyncio.run(build(services))))

        yield start


@pytest.fixture(scope="module")
def keyed_url(serve_page: Served) -> str:
    return serve_page({"access.api_key": "sesame"})


@pytest.fixture(scope="module")
def open_url(serve_page: Served) -> str:
    return serve_page({"server.max_body_mib": 1, "server.max_upload_mib": 2})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", CHAT, {"data": ["Hi"]}),
        ("POST", f"{CHAT}/", {"data": ["Hi"]}),
        ("POST", f"/{CHAT}", {"data": ["Hi"]}),
        ("POST", CHAT_V2, {"message": "Hi"}),
        ("GET", f"{CHAT}/some-event", None),
        ("POST", "/gradio_api/run/chat", {"data": ["Hi"]}),
        ("POST", "/gradio_api/api/chat", {"data": ["Hi"]}),
        ("POST", "/gradio_api/run/predict", EVENT),
        ("POST", "/gradio_api/queue/join", EVENT),
        ("GET", "/gradio_api/queue/data?session_hash=abc", None),
        ("POST", "/gradio_api/upload", None),
        ("GET", "/gradio_api/info", None),
    ],
)
def test_a_program_needs_the_key(keyed_url: str, method: str, path: str, body: Any) -> None:
    reply = httpx.request(method, keyed_url + path, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("path", [CHAT, CHAT_V2, "/gradio_api/run/chat"])
def test_a_pages_session_calls_no_named_endpoint(keyed_url: str, path: str) -> None:
    with httpx.Client(base_url=keyed_url) as browser:
        browser.get("/")
        assert browser.post(path, json={"data": ["Hi"]}).status_code == 401


@pytest.mark.slow
def test_a_pages_session_opens_its_events(keyed_url: str) -> None:
    with httpx.Client(base_url=keyed_url) as browser:
        assert browser.get("/").status_code == 200
        assert browser.post("/gradio_api/queue/join", json=EVENT).status_code == 200


@pytest.mark.parametrize("session", ["", "x", "x.", ".x", "abc.def", "é.é"])
def test_a_made_up_session_opens_nothing(keyed_url: str, session: str) -> None:
    cookie = {b"Cookie": f"playground_page={session}".encode()}
    reply = httpx.post(f"{keyed_url}/gradio_api/queue/join", json=EVENT, headers=cookie)
    assert reply.status_code == 401


@pytest.mark.slow
def test_scripts_of_the_page_cannot_read_the_session(keyed_url: str) -> None:
    cookie = httpx.get(keyed_url).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_a_page_without_a_key_has_no_session(open_url: str) -> None:
    assert "set-cookie" not in httpx.get(open_url).headers


@pytest.mark.slow
def test_a_client_with_the_key_is_answered(keyed_url: str) -> None:
    client = Client(keyed_url, headers=KEY, verbose=False)
    assert client.predict("Hi", api_name="/chat") == "Hello, you."
    client.close()


def test_a_client_without_the_key_is_not(keyed_url: str) -> None:
    with pytest.raises((AuthenticationError, httpx.HTTPStatusError, ValueError)):
        Client(keyed_url, verbose=False)


def test_a_named_call_with_the_key_streams(keyed_url: str) -> None:
    event = httpx.post(keyed_url + CHAT_V2, json={"message": "Hi"}, headers=KEY).json()["event_id"]
    stream = httpx.get(f"{keyed_url}{CHAT}/{event}", headers=KEY, timeout=30).text
    assert 'data: ["Hello, you."]' in stream


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT_V2, {}, 400),
        (CHAT_V2, {"message": "Hi", "volume": 11}, 400),
        ("/gradio_api/call/v2/nothing", {}, 404),
        ("/gradio_api/call/nothing", {"data": []}, 404),
        ("/gradio_api/run/nothing", {"data": []}, 404),
        ("/gradio_api/run/predict", {"data": [], "fn_index": 10_000}, 400),
        ("/gradio_api/queue/join", {"data": []}, 400),
        ("/gradio_api/queue/join", {"data": [], "fn_index": 10_000, "session_hash": "a"}, 400),
        (CHAT, {}, 422),
        (CHAT, [], 422),
    ],
)
def test_nonsense_is_a_4xx(
    open_url: str, caplog: pytest.LogCaptureFixture, path: str, body: Any, status: int
) -> None:
    with caplog.at_level(logging.ERROR):
        reply = httpx.post(open_url + path, json=body)
    assert (reply.status_code, "detail" in reply.json()) == (status, True)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", [f"{CHAT}/nothing", f"{CHAT_V2}/nothing"])
def test_an_event_nobody_asked_for_is_404(open_url: str, path: str) -> None:
    assert httpx.get(open_url + path).status_code == 404


def test_an_upload_without_files_is_a_4xx(open_url: str) -> None:
    form = {"files": (None, b"just text")}
    reply = httpx.post(f"{open_url}/gradio_api/upload", files=form)
    assert reply.status_code == 400


def test_a_large_body_of_the_page_is_413(open_url: str) -> None:
    body = {"data": ["x" * MIB]}
    reply = httpx.post(open_url + CHAT, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")


def test_a_large_body_in_chunks_is_413(open_url: str) -> None:
    chunks = (b"x" * 65_536 for _ in range(20))
    assert httpx.post(open_url + CHAT, content=chunks).status_code == 413


def test_a_large_upload_is_413(open_url: str) -> None:
    files = {"files": ("a.txt", b"x" * (2 * MIB))}
    assert httpx.post(f"{open_url}/gradio_api/upload", files=files).status_code == 413


def test_an_upload_says_its_length(open_url: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = httpx.post(f"{open_url}/gradio_api/upload", content=iter([b"--b--"]), headers=headers)
    assert reply.status_code == 411


@pytest.mark.slow
def test_an_upload_within_the_limit_is_kept(open_url: str) -> None:
    files = {"files": ("a.txt", b"x" * MIB)}
    assert httpx.post(f"{open_url}/gradio_api/upload", files=files).status_code == 200


def test_page_html_is_compressed(serve_page: Served) -> None:
    reply = httpx.get(serve_page({}), headers={"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert int(reply.headers["content-length"]) < len(reply.content) / 4


async def test_a_links_lanes_have_its_models() -> None:
    models = [ModelInfo(name, 100) for name in ("base", "law")]
    answering = Answering(ScriptedBackend(lambda request: ["x"], models=tuple(models)), models)
    guest = Identity("a guest", "address:x", via="visit", link=LinkRules("1", ("base", "law")))
    with acting_as(guest):
        update = await ModelChoices(answering, 1).refresh("base", "base", "base", "base")
    assert [each.value for each in update.models] == ["law", "base", "law", "base"]
