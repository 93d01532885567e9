"""A guest, and the administrator, on a server with accounts."""

from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from playground.store.conversations import Conversations
from tests.playground.conftest import playground_process
from tests.playground.ui.browser.conftest import opened

pytestmark = pytest.mark.browser
PASSWORD = "correct-horse"


def test_a_guest_and_the_administrator(browser: Browser, tmp_path: Path) -> None:
    flags = (
        "--host", "0.0.0.0", "--demo", "--password", PASSWORD, "--demo-tab", "chat", "--demo-tab",
        "compare", "--demo-banner", "A <b>demo</b>", "--demo-system-prompt", "Be kind.",
    )  # fmt: skip
    with playground_process(tmp_path, *flags) as url, opened(browser, url) as page:
        tabs = page.locator("#tabs [role=tab]:visible")
        expect(tabs).to_have_text(["Chat", "Compare"])
        expect(page.locator("#banner")).to_have_text("A <b>demo</b>")
        expect(page.locator("#system")).to_be_hidden()
        expect(page.locator("#history")).to_be_hidden()
        page.fill("#message textarea", "What is the capital of Japan?")
        page.click("#message button")
        expect(page.locator("#chat .bot .prose").last).to_contain_text("Tokyo")
        # What a guest may not see is not asked for.
        expect(page.locator(".notice")).to_have_count(0)
        page.reload()
        expect(page.locator("#chat .bot .prose").last).to_contain_text("Tokyo")
        with closing(Conversations(tmp_path)) as kept:  # in the browser alone
            assert not kept.list().conversations
        page.click("#visitor a")
        page.fill("[name=name]", "admin")
        page.fill("[name=password]", PASSWORD)
        page.click("button")
        page.get_by_role("tab", name="Admin").click()
        page.fill("#ac-key-name input", "notebook")
        page.click("#ac-key-add")
        expect(page.locator("#ac-keys")).to_contain_text("notebook")
        secret = page.locator("#ac-secret").get_by_role("textbox").input_value()
        head = {"Authorization": f"Bearer {secret}"}
        assert page.request.get(f"{url}/v1/models", headers=head).status == 200
        page.get_by_role("tab", name="Activity").click()
        expect(page.locator("#ac-curves svg")).to_have_count(6)
        page.click("#visitor button")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
