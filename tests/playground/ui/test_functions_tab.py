"""The Functions tab in a real browser: ask, approve, read the result, go on."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
PATIENCE = 20_000


@pytest.fixture
def tab(page: Page) -> Page:
    page.get_by_role("tab", name="Functions").click()
    expect(page.locator("#fn-chat .example")).to_have_count(4)
    return page


def test_weather_is_called_approved_run_and_answered_from(tab: Page) -> None:
    tab.locator("#fn-chat .example").first.click()
    expect(tab.locator("#fn-run")).to_be_visible(timeout=PATIENCE)
    expect(tab.locator("#fn-chat")).to_contain_text("get_weather")
    expect(tab.locator("#fn-chat")).to_contain_text("waits for you")
    tab.locator("#fn-run").click()
    expect(tab.locator("#fn-chat")).to_contain_text("demo data", timeout=PATIENCE)
    expect(tab.locator("#fn-chat")).to_contain_text("celsius is 19", timeout=PATIENCE)


def test_a_result_is_edited_by_hand_and_the_answer_follows_it(tab: Page) -> None:
    tab.locator("#fn-chat .example").first.click()
    expect(tab.locator("#fn-use")).to_be_visible(timeout=PATIENCE)
    tab.locator("#fn-result textarea").fill('{"sky": "green"}')
    tab.locator("#fn-use").click()
    expect(tab.locator("#fn-chat")).to_contain_text("sky is green", timeout=PATIENCE)
    tab.locator("#fn-result textarea").fill('{"sky": "purple"}')
    tab.locator("#fn-use").click()
    expect(tab.locator("#fn-chat")).to_contain_text("sky is purple", timeout=PATIENCE)
    expect(tab.locator("#fn-chat")).not_to_contain_text("sky is green")


def test_a_denied_call_is_not_run(tab: Page) -> None:
    tab.locator("#fn-chat .example").first.click()
    expect(tab.locator("#fn-deny")).to_be_visible(timeout=PATIENCE)
    tab.locator("#fn-deny").click()
    expect(tab.locator("#fn-chat")).to_contain_text("did not allow", timeout=PATIENCE)


def test_a_pasted_signature_joins_the_functions(tab: Page) -> None:
    tab.get_by_role("button", name="Paste one from elsewhere").click()
    tab.locator("#fn-paste textarea").fill("def ring_bell(times: int = 1): ...")
    tab.locator("#fn-add").click()
    expect(tab.locator("#fn-tools")).to_contain_text("ring_bell", timeout=PATIENCE)
    setup = tab.locator(".studio:visible .setup")
    expect(setup).to_contain_text("2 functions", timeout=PATIENCE)


def test_two_calls_wait_one_after_the_other(tab: Page) -> None:
    tab.locator("#fn-chat .example").nth(2).click()
    expect(tab.locator(".prose.work-note")).to_contain_text("2 calls wait", timeout=PATIENCE)
    tab.locator("#fn-run").click()
    expect(tab.locator(".prose.work-note")).to_contain_text("1 call waits", timeout=PATIENCE)
    tab.locator("#fn-run").click()
    expect(tab.locator("#fn-chat")).to_contain_text("The weather:", timeout=PATIENCE)


def test_the_request_is_shown_as_code(tab: Page) -> None:
    tab.locator("#fn-message textarea").fill("What is the weather in Rome?")
    tab.locator("#fn-code-button").click()
    expect(tab.locator("#functions-code")).to_contain_text("tools=", timeout=PATIENCE)
    expect(tab.locator("#functions-code")).to_contain_text("weather in Rome")
    tab.keyboard.press("Escape")
    expect(tab.locator("#functions-code")).to_be_hidden()
