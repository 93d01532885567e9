"""The Chat tab as a person uses it."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
BOT = "#chat .bot .prose"


def send(page: Page, text: str) -> None:
    page.fill("#message textarea", text)
    page.click("#message button")


def test_an_answer_comes_with_its_speed_and_the_box_is_empty_again(page: Page) -> None:
    send(page, "What is the capital of Japan?")
    expect(page.locator(BOT).last).to_contain_text("Tokyo", timeout=20_000)
    expect(page.locator("#status .note")).to_contain_text("first token after", timeout=20_000)
    expect(page.locator("#status .meter")).to_contain_text("of 2,048 tokens")
    expect(page.locator("#message textarea")).to_have_value("")


def test_an_example_brings_its_system_prompt(page: Page) -> None:
    page.get_by_text("A name of your own").click()
    expect(page.locator(BOT).last).to_contain_text("Marla", timeout=20_000)
    expect(page.locator("#system textarea")).to_have_value(re.compile("Marla"))


def answer_ended(page: Page) -> None:
    expect(page.locator("#status .note")).to_contain_text("first token after", timeout=30_000)


def set_number(page: Page, name: str, value: str) -> None:
    page.locator(f"#{name} input[type=number]").fill(value)
    page.locator(f"#{name} input[type=number]").press("Tab")


def test_an_answer_grows_on_the_page_and_stops_when_told(page: Page) -> None:
    # at temperature 2 this model rambles to the end of its window
    set_number(page, "temperature", "2")
    set_number(page, "max-tokens", "2000")
    page.get_by_text("More sampling controls").click()
    set_number(page, "seed", "196")
    send(page, "Tell me a story.")
    answer = page.locator(BOT).last
    expect(answer).to_contain_text(re.compile(r"\S+ \S+"), timeout=20_000)
    before = len(answer.inner_text())
    expect(answer).to_contain_text(re.compile(rf"[\s\S]{{{before + 20},}}"))
    page.click("#message .stop-button")
    expect(page.locator("#status .note")).to_contain_text("stopped by you", timeout=20_000)
    assert len(answer.inner_text()) > before
    send_again = page.locator("#message textarea")
    expect(send_again).to_be_editable()


def test_an_edited_message_is_answered_anew_and_what_followed_is_gone(page: Page) -> None:
    for text in ("What is the capital of Japan?", "What is the capital of Norway?"):
        send(page, text)
        answer_ended(page)
        expect(page.locator(f"#chat .user .prose:has-text('{text}')")).to_have_count(1)
    page.get_by_label("Edit").first.click()
    page.locator("#chat textarea").fill("What is the capital of France?")
    page.get_by_label("Submit").click()
    expect(page.locator(BOT)).to_have_count(1)
    expect(page.locator(BOT)).to_contain_text("Paris", timeout=20_000)


def test_undo_brings_the_message_back(page: Page) -> None:
    send(page, "What is the capital of Japan?")
    expect(page.locator("#status .note")).to_contain_text("first token after", timeout=20_000)
    page.get_by_label("undo", exact=False).last.click()
    expect(page.locator("#message textarea")).to_have_value("What is the capital of Japan?")


def test_the_theme_is_switched_and_remembered(page: Page) -> None:
    page.click('[data-action="theme"]')
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    page.reload()
    page.wait_for_selector("#message textarea")
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))


def test_what_is_pasted_at_once_after_opening_is_kept_and_remembered(page: Page) -> None:
    stored = "localStorage.getItem('mistral-playground.preferences')"
    page.reload()
    system = page.locator("#system textarea")
    system.fill("Answer in one word.")  # as soon as it takes input
    page.wait_for_selector("#message textarea:enabled")
    expect(system).to_have_value("Answer in one word.")
    before = page.evaluate(stored)
    system.blur()
    page.wait_for_function(f"before => {stored} !== before", arg=before)
    page.reload()
    expect(system).to_have_value("Answer in one word.")


def test_a_prompt_past_the_window_is_said_and_the_message_is_kept(page: Page) -> None:
    text = "word " * 4000
    send(page, text)
    expect(page.locator(".toast-body")).to_contain_text("tokens", timeout=20_000)
    expect(page.locator("#message textarea")).to_have_value(re.compile("word word"))


def test_a_table_is_drawn_and_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    send(page, "Could you make a table of the planets, please?")
    expect(page.locator(f"{BOT} td").first).to_have_text("Mercury", timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_thumb_in_the_chat_becomes_a_training_row(page: Page) -> None:
    send(page, "What is the capital of Italy?")
    expect(page.locator(BOT).last).to_contain_text("Rome", timeout=20_000)
    answer_ended(page)
    page.locator("#chat").get_by_label("Like", exact=True).last.click()
    page.get_by_role("tab", name="Fine-tune").click()
    page.get_by_label("Good answers: votes, thumbs up, edits").check()
    expect(page.locator("#ft-report")).to_contain_text("rows", timeout=20_000)
    page.locator("#ft-line input").fill("1")
    expect(page.locator("#ft-preview")).to_contain_text("Example 1", timeout=10_000)
