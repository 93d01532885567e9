"""The page in a browser, on a server that asks programs for a key."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.playground.conftest import playground_process
from tests.playground.ui.browser.conftest import opened

pytestmark = pytest.mark.browser


def test_a_browser_chats_without_the_key(browser: Browser, tmp_path: Path) -> None:
    with (
        playground_process(tmp_path, "--api-key", "sesame") as url,
        opened(browser, url) as page,
    ):
        page.fill("#message textarea", "What is the capital of Japan?")
        page.click("#message button")
        expect(page.locator("#chat .bot .prose").last).to_contain_text("Tokyo")
        assert httpx.get(f"{url}/v1/models").status_code == 401
