"""Every route of the application as every role, through the gate that stands before all of them."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from playground.access import Access, DemoLinks, People
from playground.api import create_api
from playground.api.app import _api
from playground.api.gate import SESSION_COOKIE, Gate
from playground.api.origins import Origins
from playground.backends.scripted import ScriptedBackend
from playground.lab.batches import Batches
from playground.lab.live import LiveFigures
from playground.lab.metrics import Metrics
from playground.lab.prompts import Prompts
from playground.lab.sweeps.sweeps import Sweeps
from playground.lab.usage import UsageMeter
from playground.models.resident import ResidentModel
from playground.models.spec import ModelSpec
from playground.services import Services
from playground.settings import Settings, load_settings
from playground.settings.addresses import RESERVED
from playground.store import Feedback
from playground.store.accounts import Accounts
from playground.store.completions import Completions
from playground.store.conversations import Conversations
from playground.store.links import Links
from playground.store.responses import Responses
from playground.store.uploads import Uploads
from playground.store.usage import UsageStore
from playground.studio.studio import Studio

ROLES = ("nobody", "guest", "user", "trainer", "admin")
PASSWORD = "correct-horse"
DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
BEGIN, END = "<!-- routes begin -->\n", "<!-- routes end -->"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with closing(People(Accounts(tmp_path_factory.mktemp("home")))) as people:
        for role in ROLES[1:]:
            people.add_account(role, role, PASSWORD)
        yield people


@pytest.fixture(scope="module")
def services(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """All parts that have routes; none of them is asked for anything."""
    home = tmp_path_factory.mktemp("home")
    provider = {"access.oidc.issuer": "https://login.example", "access.oidc.client_id": "x"}
    settings = load_settings({"home": str(home), "access.accounts": True, **provider})
    backend: Any = ScriptedBackend(lambda request: ["fine"])
    with ExitStack() as stack:
        responses, feedback = Responses(home), Feedback(home)
        completions, conversations = Completions(home), Conversations(home)
        prompts, links = Prompts(home), DemoLinks(Links(home))
        for store in (responses, feedback, completions, conversations, prompts, links):
            stack.enter_context(closing(store))
        yield Services.create(
            backend,
            settings,
            Access.from_settings(settings.access, people, links),
            studio=Studio(home, ResidentModel("scripted", ModelSpec("embedded")), backend),
            feedback=feedback,
            responses=responses,
            prompts=prompts,
            completions=completions,
            conversations=conversations,
            sweeps=stack.enter_context(Sweeps(home, backend, {}, None)),
            batches=stack.enter_context(closing(Batches(home, Uploads(home)))),
            usage=stack.enter_context(closing(UsageMeter(UsageStore(home), settings.usage))),
            metrics=(metrics := Metrics("scripted", lambda: None, lambda: ())),
            live=LiveFigures(metrics),
        )


def walk(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields method and path of every route, those of included routers and mounts too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            context: Any = getattr(route, "include_context", None)
            yield from walk(inner.routes, prefix + context.prefix)
        elif isinstance(route, Mount):
            yield from walk(route.routes or [], prefix + route.path)
        elif isinstance(route, APIRoute | Route):
            for method in sorted(route.methods or {"GET"}):
                yield method, prefix + route.path


def routes_of(services: Services) -> list[tuple[str, str]]:
    page = gr.mount_gradio_app(create_api(services), gr.Blocks(), path="/")
    found = {*walk(_api(services).routes), *walk(page.routes)}
    plain = {(method, path.rstrip("/") or "/") for method, path in found}
    return sorted((each for each in plain if each[0] != "HEAD"), key=lambda each: each[::-1])


async def status(gate: Gate, method: str, path: str, cookie: str) -> int:
    """What the gate answers; 204 is what stands behind it."""
    filled = path.replace("{", "").replace("}", "").replace(":path", "")
    transport = httpx.ASGITransport(gate)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        headers = {"cookie": f"{SESSION_COOKIE}={cookie}"} if cookie else {}
        return (await client.request(method, filled, headers=headers)).status_code


def passes(services: Services, people: People) -> list[tuple[str, str, tuple[int, ...]]]:
    gate = Gate(Response(status_code=204), services.access, Origins())
    cookies = ["", *(people.sign_in(role, PASSWORD, role) for role in ROLES[1:])]

    async def ask() -> list[tuple[str, str, tuple[int, ...]]]:
        found = []
        for method, path in routes_of(services):
            codes = [await status(gate, method, path, cookie) for cookie in cookies]
            found.append((method, path, tuple(codes)))
        return found

    return asyncio.run(ask())


@pytest.mark.slow
def test_every_route_as_every_role(services: Services, people: People) -> None:
    found = passes(services, people)
    assert len(found) > 100
    # A role may do what the ones before it may, and nobody what all may.
    for method, path, codes in found:
        opened = [code == 204 for code in codes]
        assert opened == sorted(opened), (method, path, codes)
        assert codes[-1] == 204
        assert set(codes) <= {204, 303, 401, 403}
    closed = {path for _, path, codes in found if codes[0] != 204}
    assert {"/", "/v1/chat/completions", "/gradio_api/queue/join", "/v1/exports/{export_id}",
            "/v1/fine_tuning/jobs", "/v1/admin/keys", "/config"} <= closed  # fmt: skip
    first = {path.split("/")[1].split("=")[0] for _, path, _ in found} - {""}
    assert first < RESERVED  # beneath a root path of that name it could not be told which is which
    table = table_of(found)
    written = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert written == table, f"write this between the marks of {DOCUMENT}:\n{table}"


def table_of(found: list[tuple[str, str, tuple[int, ...]]]) -> str:
    lines = ["| route | nobody | guest | user | trainer | admin |", "|---|---|---|---|---|---|"]
    for method, path, codes in found:
        cells = " | ".join("yes" if code == 204 else str(code) for code in codes)
        lines.append(f"| `{method} {path}` | {cells} |")
    return "\n".join(lines) + "\n"


def test_the_application_stands_behind_it(services: Services) -> None:
    async def ask(path: str) -> int:
        app: FastAPI = create_api(services)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://here"
        ) as client:
            return (await client.get(path)).status_code

    assert asyncio.run(ask("/v1/models")) == 401
    assert asyncio.run(ask("/")) == 303
    assert asyncio.run(ask("/gradio_api/info")) == 401
    assert asyncio.run(ask("/health")) == 200


def test_settings_without_accounts_have_no_sign_in() -> None:
    services = Services.create(ScriptedBackend(lambda request: ["x"]), Settings())
    assert not [path for _, path in walk(create_api(services).routes) if path == "/login"]
