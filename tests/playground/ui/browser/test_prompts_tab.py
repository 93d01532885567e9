"""The Prompts tab in a real browser: write, try, save, compare, link, and use in the chat."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.playground.ui.browser.conftest import opened_by, restored

pytestmark = pytest.mark.browser


def field(page: Page, elem_id: str) -> str:
    return f"#{elem_id} textarea, #{elem_id} input"


def test_prompt_from_editor_to_chat(
    page: Page, regular: BrowserContext, playground_url: str
) -> None:
    page.get_by_role("tab", name="Prompts", exact=True).click()
    page.locator(field(page, "pr-name")).fill("capital")
    page.locator("#pr-user textarea").fill("What is the capital of {{ country }}?")
    page.locator("#pr-user textarea").blur()
    expect(page.locator("#pr-variables")).to_contain_text("name: country")
    page.locator(field(page, "pr-value-country")).fill("France")
    page.locator("#pr-run").click()
    expect(page.locator("#pr-answer")).to_contain_text("Paris")
    page.locator("#pr-save").click()
    expect(page.locator("#pr-about")).to_contain_text("Permalink")
    expect(page.locator(field(page, "pr-value-country"))).to_have_value("France")
    page.locator("#pr-user textarea").fill("Which city leads {{ country }}, <b>now</b>?")
    page.locator(field(page, "pr-message")).fill("Ask for the city")
    page.locator("#pr-save").click()
    expect(page.locator("#pr-version input")).to_have_value("v2 · Ask for the city")
    page.get_by_role("button", name="Compare versions").click()
    expect(page.locator("#pr-diff .changed .new").first).to_contain_text("<b>now</b>")

    with opened_by(regular, playground_url, "/?prompt=capital&version=1") as other:
        expect(other.locator("#pr-user textarea")).to_have_value(
            "What is the capital of {{ country }}?"
        )
        other.goto(f"{playground_url}/?prompt=nothing")
        expect(other.locator("#pr-about")).to_contain_text("no prompt 'nothing'")
        other.get_by_role("tab", name="Chat", exact=True).click()
        restored(other)
        expect(other.locator("#slash-names button")).to_have_count(1)
        other.locator("#message textarea").fill("/cap")
        other.locator("#message textarea").press("Enter")
        other.locator(field(other, "chat-value-country")).fill("Spain")
        other.locator("#chat-insert").click()
        expect(other.locator("#message textarea")).to_have_value(
            "Which city leads Spain, <b>now</b>?"
        )


def test_a_problem_is_said_once_beside_its_field(page: Page) -> None:
    page.get_by_role("tab", name="Prompts", exact=True).click()
    page.locator("#pr-new").click()
    expect(page.locator("#pr-user textarea")).to_have_value("")
    expect(page.locator("#pr-variables")).not_to_contain_text("name:")
    expect(page.locator("[id^=pr-value-]")).to_have_count(0)  # Run is wired to the new prompt
    page.locator("#pr-user textarea").fill("Say {{ broken")
    page.locator("#pr-user textarea").blur()
    expect(page.locator("#pr-problem .bad")).to_be_visible()
    page.locator("#pr-run").click()
    expect(page.locator("#pr-user .field-error")).to_have_text(
        "line 1: `{{` is not closed with `}}`"
    )
    expect(page.locator("#pr-problem .bad")).to_be_hidden()
    page.locator("#pr-user textarea").fill("Hi {{ who }}")
    page.locator("#pr-user textarea").blur()
    expect(page.locator(field(page, "pr-value-who"))).to_be_visible()
    page.locator("#pr-run").click()
    expect(page.locator("#pr-value-who .field-error")).to_contain_text("is missing")
