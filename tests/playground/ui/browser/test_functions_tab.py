"""The Functions tab in a real browser: ask, approve, read the result, go on."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def tab(page: Page) -> Page:
    page.get_by_role("tab", name="Functions").click()
    page.locator("#fn-clear").click()
    expect(page.locator("#fn-chat .example")).to_have_count(4)
    return page


def test_weather_is_called_approved_run_and_answered_from(tab: Page) -> None:
    tab.locator("#fn-chat .example").first.click()
    expect(tab.locator("#fn-run")).to_be_visible()
    expect(tab.locator("#fn-chat")).to_contain_text("get_weather")
    expect(tab.locator("#fn-chat")).to_contain_text("waiting for you")
    tab.locator("#fn-run").click()
    expect(tab.locator("#fn-chat")).to_contain_text("demo data")
    expect(tab.locator("#fn-chat")).to_contain_text("celsius is 19")


def test_the_request_is_shown_as_code(tab: Page) -> None:
    tab.locator("#fn-message textarea").fill("What is the weather in Rome?")
    tab.locator("#fn-code-button").click()
    expect(tab.locator("#code-panel")).to_contain_text("tools=")
    expect(tab.locator("#code-panel")).to_contain_text("weather in Rome")
    tab.keyboard.press("Escape")
    expect(tab.locator("#code-panel")).to_be_hidden()
