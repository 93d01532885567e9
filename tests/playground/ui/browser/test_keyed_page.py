"""The page in a browser, on a server that asks programs for a key."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.playground.ui.browser.conftest import Restartable

pytestmark = pytest.mark.browser


def test_a_browser_chats_without_the_key(keyed: Page, keyed_server: Restartable) -> None:
    keyed.fill("#message textarea", "What is the capital of Japan?")
    keyed.click("#message button")
    expect(keyed.locator("#chat .bot .prose").last).to_contain_text("Tokyo")
    assert httpx.get(f"{keyed_server.url}/v1/models").status_code == 401
