"""The sidebar of conversations in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.playground.ui.browser.conftest import reload

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOX = "#message textarea"
ROWS = "#history-list button[data-conversation]"


def ask(page: Page, text: str) -> None:
    page.fill(BOX, text)
    page.press(BOX, "Enter")
    expect(page.locator("#chat .bot .prose").last).to_contain_text(text)
    expect(page.locator(".stop-button")).to_have_count(0)


def test_conversations_are_found_again(echo_chat: Page) -> None:
    page = echo_chat
    ask(page, "alpha one")
    expect(page.locator(ROWS).filter(has_text="alpha one")).to_have_count(1)  # it is kept
    page.click("#new-chat")
    expect(page.locator("#chat .message")).to_have_count(0)
    ask(page, "beta two")
    page.locator(".sidebar .toggle-button").click()
    expect(page.locator(ROWS).nth(0)).to_have_text(re.compile("beta two"))
    expect(page.locator(ROWS).nth(1)).to_have_text(re.compile("alpha one"))
    page.fill("#history-query :is(textarea, input)", "alpha")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator("#history-list mark").first).to_have_text("alpha")
    page.locator(ROWS).click()
    expect(page.locator("#chat .user .prose")).to_have_text("alpha one")
    ask(page, "alpha again")  # it goes on in the same conversation
    reload(page)
    expect(page.locator("#chat .user .prose")).to_have_count(2)
    page.locator(".sidebar .toggle-button").click()
    expect(page.locator(ROWS).nth(0)).to_have_text(re.compile("alpha one"))
    expect(page.locator(ROWS).nth(1)).to_have_text(re.compile("beta two"))
    page.locator("#history-details .label-wrap").first.click()
    page.click("#history-delete")
    page.click("#history-really")
    expect(page.locator(ROWS).nth(0)).to_have_text(re.compile("beta two"))
    expect(page.locator(ROWS).filter(has_text="alpha")).to_have_count(0)
    expect(page.locator("#chat .message")).to_have_count(0)
    page.locator(".sidebar .toggle-button").click()


def test_temporary_chat_leaves_no_trace(echo_chat: Page) -> None:
    page = echo_chat
    page.locator("#temporary input").check()
    ask(page, "gamma secret")
    page.locator(".sidebar .toggle-button").click()
    expect(page.locator("#history-list")).not_to_contain_text("gamma")
    page.wait_for_function("sessionStorage.getItem('mistral-playground.kept.chat') === '{}'")
    reload(page)
    expect(page.locator("#chat .message")).to_have_count(0)
