"""What was typed and said is still there after a reload; what was cleared stays cleared."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.playground.ui.browser.conftest import Restartable, opened, reload, restored
from tests.playground.ui.browser.scripted import SLOWLY, EchoPage, HoldingBackend, SlowLine

pytestmark = pytest.mark.browser
BOX, BOT = "#message textarea", "#chat .bot .prose"


def kept(page: Page, text: str) -> None:
    """Wait until the browser has kept it."""
    page.wait_for_function(
        "text => Object.values(sessionStorage).some(value => value.includes(text))", arg=text
    )


@pytest.fixture(scope="module")
def reloaded(browser: Browser, playground_url: str) -> Iterator[Page]:
    """A page in whose tabs something was said and typed before it was reloaded."""
    with opened(browser, playground_url) as page:
        page.fill(BOX, "What is the capital of Japan?")
        page.press(BOX, "Enter")
        expect(page.locator("#status .note")).to_contain_text("first token")
        page.fill(BOX, "What is the capital of Norway?")
        kept(page, "Norway")
        page.get_by_role("tab", name="JSON", exact=True).click()
        assert page.url.endswith("#json")
        page.fill("#json-text textarea", "Ada is 36.")
        page.get_by_role("tab", name="Functions", exact=True).click()
        page.locator("#fn-chat .example").first.click()
        expect(page.locator("#fn-run")).to_be_visible()
        kept(page, 'timeline":"{')
        page.fill("#fn-message textarea", "What is the weather?")
        kept(page, "What is the weather?")
        page.get_by_role("tab", name="Fine-tune", exact=True).click()
        page.fill("#ft-name input", "catalogue-7")
        kept(page, "catalogue-7")
        assert page.url.endswith("#finetune")
        page.reload()
        yield page


def test_forms_outlive_a_reload_and_tabs_have_urls(reloaded: Page) -> None:
    expect(reloaded.locator("#ft-name input")).to_have_value("catalogue-7")
    reloaded.go_back()
    expect(reloaded.locator("#fn-message textarea")).to_have_value("What is the weather?")
    reloaded.go_back()
    expect(reloaded.locator("#json-text textarea")).to_have_value("Ada is 36.")


def test_a_functions_conversation_outlives_a_reload(reloaded: Page) -> None:
    reloaded.get_by_role("tab", name="Functions", exact=True).click()
    expect(reloaded.locator("#fn-chat")).to_contain_text("waiting for you")
    reloaded.locator("#fn-run").click()  # the conversation goes on
    expect(reloaded.locator("#fn-chat .bot .prose").last).to_contain_text("celsius is 19")
    expect(reloaded.locator("#fn-chat .byline").last).to_have_text("embedded")


def test_conversation_and_draft_outlive_a_reload(reloaded: Page) -> None:
    reloaded.get_by_role("tab", name="Chat", exact=True).click()
    expect(reloaded.locator(BOT)).to_contain_text("Tokyo")
    expect(reloaded.locator(BOX)).to_have_value("What is the capital of Norway?")
    reloaded.locator("#header .brand").click()
    restored(reloaded)
    expect(reloaded.locator(BOT)).to_contain_text("Tokyo")
    reloaded.press(BOX, "Enter")  # the conversation goes on
    expect(reloaded.locator(BOT).last).to_contain_text("Oslo")


@pytest.fixture
def held_line(echo: EchoPage) -> Iterator[SlowLine]:
    """What hides from browsers that their streams are closed."""
    echo.line.is_held = True
    yield echo.line
    echo.line.is_held = False


def test_what_is_sent_as_a_stream_closes_is_answered(echo_chat: Page, held_line: SlowLine) -> None:
    echo_chat.fill(BOX, "The first.")
    echo_chat.press(BOX, "Enter")
    expect(echo_chat.locator("#status .note")).to_contain_text("first token")
    expect(echo_chat.locator("#message .stop-button")).to_have_count(0)
    echo_chat.get_by_role("tab", name="Functions", exact=True).click()
    echo_chat.fill("#fn-message textarea", "The second.")
    with echo_chat.expect_response("**/queue/join*") as accepted:
        echo_chat.press("#fn-message textarea", "Enter")
    accepted.value.finished()
    echo_chat.evaluate("() => new Promise(requestAnimationFrame)")
    held_line.is_held = False  # only now does the browser hear that there was nothing left to tell
    expect(echo_chat.locator("#fn-chat .bot .prose").last).to_contain_text("The second.")


def test_an_open_page_holds_no_connection(echo_chat: Page) -> None:
    reload(echo_chat)  # with one each, six tabs would have all that a browser has
    echo_chat.wait_for_load_state("networkidle")


def test_a_new_chat_in_mid_answer_is_empty(echo_chat: Page, holding: HoldingBackend) -> None:
    echo_chat.fill(BOX, SLOWLY + "a word and another " * 100)
    echo_chat.press(BOX, "Enter")
    expect(echo_chat.locator(BOT)).to_contain_text("a word")
    echo_chat.click("#new-chat")
    holding.holds = False
    expect(echo_chat.locator("#chat .message")).to_have_count(0)
    expect(echo_chat.locator(".stop-button")).to_have_count(0)
    echo_chat.fill(BOX, "second question")
    echo_chat.press(BOX, "Enter")
    expect(echo_chat.locator(BOT)).to_contain_text("second question")
    expect(echo_chat.locator("#chat .user .prose")).to_have_text("second question")
    expect(echo_chat.locator("#status .note")).to_contain_text("1 token")


def test_a_killed_server_that_comes_back_loses_nothing(
    keyed: Page, keyed_server: Restartable
) -> None:
    keyed.fill(BOX, "What is the capital of Japan?")
    keyed.press(BOX, "Enter")
    expect(keyed.locator("#status .note")).to_contain_text("first token")
    keyed.fill(BOX, "What is the capital of Norway?")
    kept(keyed, "Norway")
    keyed_server.kill()
    keyed_server.start()
    expect(keyed.locator(BOX)).to_have_value("What is the capital of Norway?")
    restored(keyed)  # a page whose request broke off is built anew, its box closed meanwhile
    keyed.press(BOX, "Enter")  # the page needs no reload
    expect(keyed.locator(BOT)).to_have_text([re.compile("Tokyo"), re.compile("Oslo")])
    kept(keyed, "Oslo")
    reload(keyed)
    expect(keyed.locator(BOT)).to_have_text([re.compile("Tokyo"), re.compile("Oslo")])


def test_functions_cleared_in_mid_answer_stay_empty(
    echo_tab: Page, holding: HoldingBackend
) -> None:
    echo_tab.get_by_role("tab", name="Functions", exact=True).click()
    echo_tab.click("#fn-clear")
    expect(echo_tab.locator("#fn-chat .message")).to_have_count(0)
    echo_tab.fill("#fn-message textarea", SLOWLY + "a word and another " * 100)
    echo_tab.press("#fn-message textarea", "Enter")
    expect(echo_tab.locator("#fn-chat .bot .prose")).to_contain_text("a word")
    echo_tab.click("#fn-clear")
    holding.holds = False
    expect(echo_tab.locator("#fn-chat .message")).to_have_count(0)
    echo_tab.fill("#fn-message textarea", "second question")
    echo_tab.press("#fn-message textarea", "Enter")
    expect(echo_tab.locator("#fn-chat .user .prose")).to_have_text("second question")
    expect(echo_tab.locator("#fn-chat .bot .prose")).to_have_text(
        re.compile(r"^echo\s+second question\s*$")
    )
