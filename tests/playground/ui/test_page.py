"""The page as Gradio sees it: which event changes what, and its one public endpoint."""

import re

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from gradio import blocks, queueing
from gradio_client import Client  # type: ignore[import-untyped]

from playground.ui import mount_page
from playground.ui.gradio_idling import LOOKED_THROUGH_S
from playground.ui.gradio_script import CHANGES, changed_scripts
from playground.ui.theme import STYLESHEET
from tests.playground.api.serving import running
from tests.playground.ui.helpers import elem_ids, events_of

CONVERSATION = {"chat", "message", None, "chat-note", "chat-meter", "chat-conversation"}


@pytest.mark.parametrize(
    ("handler", "count", "ids"),
    [
        ("send", 4, None),
        ("retry", 1, CONVERSATION),
        ("edit", 1, CONVERSATION),
        ("undo", 1, CONVERSATION),
        ("update_token_count", 5, {"chat-meter"}),
        ("count_restored", 1, {"chat-note", "chat-meter"}),
        ("restore", 2, None),
        ("make_schema", 1, {"json-schema", None, "json-text"}),
        ("score", 16, {"cmp-tag", "cmp-score", "cmp-preferences", "cmp-good", "cmp-thumbs"}),
        ("report", 1, {"ft-report", "ft-start"}),
        ("plan", 1, {"ft-plan"}),
        ("start", 1, {"ft-rooms", "ft-job"}),
        ("publish", 1, {"ft-rooms", "ad-version"}),
        ("export", 1, {"ad-table", "ad-version", "ad-card", "ad-note"}),
        ("import_adapter", 1, {"ad-table", "ad-version", "ad-card", "ad-note"}),
    ],
)
async def test_events_change_the_components_they_name(
    page: gr.Blocks, handler: str, count: int, ids: set[str | None] | None
) -> None:
    events = events_of(page, handler)
    assert len(events) == count
    for event in events:
        assert ids is None or elem_ids(event.outputs) <= ids | {"json-verdict"}


async def test_every_event_but_the_chat_is_private(page: gr.Blocks) -> None:
    public = [event.api_name for event in page.fns.values() if event.api_visibility == "public"]
    assert public == ["chat"]


def test_hidden_progress_is_told_to_nothing(page: gr.Blocks) -> None:
    hidden = [
        each for each in page.fns.values() if each.show_progress == "hidden" and not each.queue
    ]
    assert len(hidden) > 100
    assert not [event.name for event in hidden if event.show_progress_on != ()]


@pytest.mark.slow
async def test_a_client_asks_the_page_for_a_stream(page: gr.Blocks) -> None:
    with running(mount_page(FastAPI(), page)) as url:
        client = Client(url, verbose=False)
        assert list(client.submit("Hi", api_name="/chat"))[:2] == ["Hello", "Hello, you."]
        with pytest.raises(Exception, match="Cannot find a function"):
            client.predict("Hi", api_name="/send")
        client.close()


def test_gradio_can_prefix_each_selector() -> None:
    """Gradio puts its own classes after each comma of a selector, so within `:has(…)`, where the
    rest is looked for inside the element, nothing is found any more."""
    rules = STYLESHEET.read_text("utf-8")
    assert ":has(" in rules
    assert not re.findall(r":has\([^(){]*(?:\([^()]*\)[^(){]*)*,[^{]*", rules)


async def test_gradio_looks_up_components_once(page: gr.Blocks) -> None:
    app = mount_page(FastAPI(), page)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")
    served = [await client.get(f"/assets/{name}") for name in changed_scripts()]
    for _, before, after in CHANGES:
        assert sum(after in each.text for each in served) == 1, "new Gradio: see gradio_script.py"
        assert not any(before in each.text for each in served)
    assert {each.headers["content-type"] for each in served} == {"text/javascript; charset=utf-8"}


async def test_an_idle_page_asks_rarely(page: gr.Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        page._queue.stopped = len(asked) == 3

    mount_page(FastAPI(), page)
    monkeypatch.setattr(page._queue, "stopped", False)  # and again afterwards
    monkeypatch.setattr(queueing.asyncio, "sleep", sleep)
    await page._queue.start_processing()
    assert asked == [LOOKED_THROUGH_S] * 3
    assert blocks.inspect.signature(gr.HTML.__init__) is blocks.inspect.signature(gr.HTML.__init__)
