"""Pages tell that they are there, and Gradio hears it as if each held a connection."""

import asyncio
from collections.abc import AsyncIterator

import gradio as gr
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from gradio.routes import App
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from playground.ui import mount_page, presence
from playground.ui.presence import Pages, Presence

BEAT = "/gradio_api/heartbeat/visitor"
TURNS = 1000


@pytest_asyncio.fixture
async def mounted(page: gr.Blocks) -> FastAPI:
    return mount_page(FastAPI(), page)


@pytest_asyncio.fixture
async def client(mounted: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(mounted)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


async def is_closed(app: FastAPI) -> bool:
    """Whether Gradio takes the visitor's page for closed, once everything has had its turn."""
    (gradio,) = (
        each.app for each in app.routes if isinstance(each, Mount) and isinstance(each.app, App)
    )
    session = gradio.state_holder["visitor"]
    for _ in range(TURNS):
        await asyncio.sleep(0)
    return bool(session.is_closed)


async def test_a_page_that_is_left_is_closed(mounted: FastAPI, client: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert (await client.get(BEAT, params={"here": 1})).status_code == 204
    assert not await is_closed(mounted)
    assert (await client.get(BEAT, params={"here": 0})).status_code == 204
    assert await is_closed(mounted)


async def test_a_page_that_was_never_there_leaves(client: httpx.AsyncClient) -> None:
    assert (await client.get(BEAT, params={"here": 0})).status_code == 204


async def test_a_silent_page_is_gone() -> None:
    silent = Presence(silent_s=0.01)
    assert [(await silent.receive())["type"] for _ in range(2)] == [
        "http.request",
        "http.disconnect",
    ]


async def test_the_longest_silent_page_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MOST_PAGES", 2)
    gone: list[str] = []

    async def held(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.append(scope["path"][-1])

    transport = httpx.ASGITransport(Pages(held))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        for name in "abac":
            await client.get(f"/gradio_api/heartbeat/{name}", params={"here": 1})
        for _ in range(TURNS):
            await asyncio.sleep(0)
        assert gone == ["b"]
        for name in "ac":
            await client.get(f"/gradio_api/heartbeat/{name}", params={"here": 0})
