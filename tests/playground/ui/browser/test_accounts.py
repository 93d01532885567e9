"""A guest, and the administrator, on a server with accounts."""

from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from playground.store.conversations import Conversations
from tests.playground.ui.browser.conftest import opened
from tests.playground.ui.browser.with_accounts import PASSWORD, ServerWithAccounts

pytestmark = pytest.mark.browser


def conversations_kept(home: Path) -> int:
    with closing(Conversations(home)) as kept:
        return len(kept.list().conversations)


def test_a_guest_and_the_administrator(browser: Browser, with_accounts: ServerWithAccounts) -> None:
    url, before = with_accounts.url, conversations_kept(with_accounts.home)
    with opened(browser, url) as page:
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
        # in the browser alone
        assert conversations_kept(with_accounts.home) == before
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
