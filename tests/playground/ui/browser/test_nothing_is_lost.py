"""What was typed and said is still there after a reload; what was cleared stays cleared."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.playground.conftest import killable_playground
from tests.playground.ui.browser.conftest import opened
from tests.playground.ui.browser.scripted import SLOWLY

pytestmark = pytest.mark.browser
BOX, BOT = "#message textarea", "#chat .bot .prose"


def reload(page: Page) -> None:
    page.reload()
    page.wait_for_selector("#message textarea:enabled")


def kept(page: Page, text: str) -> None:
    """Wait until the browser has kept it."""
    page.wait_for_function(
        "text => Object.values(sessionStorage).some(value => value.includes(text))", arg=text
    )


def test_conversation_and_draft_outlive_a_reload(new_page: Page) -> None:
    new_page.fill(BOX, "What is the capital of Japan?")
    new_page.press(BOX, "Enter")
    expect(new_page.locator("#status .note")).to_contain_text("first token")
    new_page.fill(BOX, "What is the capital of Norway?")
    kept(new_page, "Norway")
    reload(new_page)
    expect(new_page.locator(BOT)).to_contain_text("Tokyo")
    expect(new_page.locator(BOX)).to_have_value("What is the capital of Norway?")
    new_page.locator("#header .brand").click()
    new_page.wait_for_selector("#message textarea:enabled")
    expect(new_page.locator(BOT)).to_contain_text("Tokyo")
    new_page.press(BOX, "Enter")  # the conversation goes on
    expect(new_page.locator(BOT).last).to_contain_text("Oslo")


def test_a_functions_conversation_outlives_a_reload(new_page: Page) -> None:
    new_page.get_by_role("tab", name="Functions", exact=True).click()
    new_page.locator("#fn-chat .example").first.click()
    expect(new_page.locator("#fn-run")).to_be_visible()
    kept(new_page, 'timeline":"{')
    new_page.reload()
    expect(new_page.locator("#fn-chat")).to_contain_text("waiting for you")
    new_page.locator("#fn-run").click()  # the conversation goes on
    expect(new_page.locator("#fn-chat .bot .prose").last).to_contain_text("celsius is 19")
    expect(new_page.locator("#fn-chat .byline").last).to_have_text("embedded")


def test_forms_outlive_a_reload_and_tabs_have_urls(new_page: Page) -> None:
    new_page.get_by_role("tab", name="JSON", exact=True).click()
    assert new_page.url.endswith("#json")
    new_page.fill("#json-text textarea", "Ada is 36.")
    new_page.get_by_role("tab", name="Functions", exact=True).click()
    new_page.fill("#fn-message textarea", "What is the weather?")
    kept(new_page, "What is the weather?")
    new_page.get_by_role("tab", name="Fine-tune", exact=True).click()
    new_page.fill("#ft-name input", "catalogue-7")
    kept(new_page, "catalogue-7")
    reload_on = new_page.url
    assert reload_on.endswith("#finetune")
    new_page.reload()
    expect(new_page.locator("#ft-name input")).to_have_value("catalogue-7")
    new_page.go_back()
    expect(new_page.locator("#fn-message textarea")).to_have_value("What is the weather?")
    new_page.go_back()
    expect(new_page.locator("#json-text textarea")).to_have_value("Ada is 36.")


def test_a_new_chat_in_mid_answer_is_empty(echo_chat: Page) -> None:
    echo_chat.fill(BOX, SLOWLY + "a word and another " * 100)
    echo_chat.press(BOX, "Enter")
    expect(echo_chat.locator(BOT)).to_contain_text("a word")
    echo_chat.click("#new-chat")
    expect(echo_chat.locator("#chat .message")).to_have_count(0)
    expect(echo_chat.locator(".stop-button")).to_have_count(0)
    echo_chat.fill(BOX, "second question")
    echo_chat.press(BOX, "Enter")
    expect(echo_chat.locator(BOT)).to_contain_text("second question")
    expect(echo_chat.locator("#chat .user .prose")).to_have_text("second question")
    expect(echo_chat.locator("#status .note")).to_contain_text("1 token")


def test_a_killed_server_that_comes_back_loses_nothing(browser: Browser, tmp_path: Path) -> None:
    with killable_playground(tmp_path) as (url, server), opened(browser, url) as page:
        page.fill(BOX, "What is the capital of Japan?")
        page.press(BOX, "Enter")
        expect(page.locator("#status .note")).to_contain_text("first token")
        page.fill(BOX, "What is the capital of Norway?")
        kept(page, "Norway")
        server.kill()
        with killable_playground(tmp_path, port=int(url.rpartition(":")[2])):
            expect(page.locator(BOX)).to_have_value("What is the capital of Norway?")
            page.press(BOX, "Enter")  # the page needs no reload
            expect(page.locator(BOT)).to_have_text([re.compile("Tokyo"), re.compile("Oslo")])
            kept(page, "Oslo")
            reload(page)
            expect(page.locator(BOT)).to_have_text([re.compile("Tokyo"), re.compile("Oslo")])


def test_functions_cleared_in_mid_answer_stay_empty(echo_tab: Page) -> None:
    echo_tab.get_by_role("tab", name="Functions", exact=True).click()
    echo_tab.click("#fn-clear")
    expect(echo_tab.locator("#fn-chat .message")).to_have_count(0)
    echo_tab.fill("#fn-message textarea", SLOWLY + "a word and another " * 100)
    echo_tab.press("#fn-message textarea", "Enter")
    expect(echo_tab.locator("#fn-chat .bot .prose")).to_contain_text("a word")
    echo_tab.click("#fn-clear")
    expect(echo_tab.locator("#fn-chat .message")).to_have_count(0)
    echo_tab.fill("#fn-message textarea", "second question")
    echo_tab.press("#fn-message textarea", "Enter")
    expect(echo_tab.locator("#fn-chat .user .prose")).to_have_text("second question")
    expect(echo_tab.locator("#fn-chat .bot .prose")).to_have_text(
        re.compile(r"^echo\s+second question\s*$")
    )
