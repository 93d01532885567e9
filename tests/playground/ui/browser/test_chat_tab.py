"""The Chat tab as a person uses it."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.playground.ui.browser.conftest import restored

pytestmark = pytest.mark.browser
BOT = "#chat .bot .prose"
GROWN_AND_STOPPED = r"""(bot) => {
  const text = [...document.querySelectorAll(bot)].at(-1)?.innerText ?? "";
  const seen = (window.seenLengths ??= []);
  if (/\S+ \S+/.test(text)) seen.push(text.length);
  if (!seen.length || seen.at(-1) < seen[0] + 20) return null;
  document.querySelector("#message .stop-button").click();
  return seen;
}"""
"""Once an answer has some words and then 20 characters more: its lengths, after a click on stop."""


@pytest.fixture
def chat(page: Page) -> Page:
    """The tab as it is for a new conversation."""
    page.get_by_role("tab", name="Chat", exact=True).click()
    page.fill("#system textarea", "")
    page.fill("#message textarea", "")
    page.click("#reset")
    page.click("#new-chat")
    expect(page.locator(BOT)).to_have_count(0)
    expect(page.locator("#status .note")).to_be_empty()
    expect(page.locator("#max-tokens input[type=number]")).to_have_value("512")
    return page


def send(page: Page, text: str) -> None:
    page.fill("#message textarea", text)
    page.click("#message button")


def test_an_answer_comes_with_its_speed_and_the_box_is_empty_again(chat: Page) -> None:
    send(chat, "What is the capital of Japan?")
    expect(chat.locator(BOT).last).to_contain_text("Tokyo")
    expect(chat.locator("#status .note")).to_contain_text("first token after")
    expect(chat.locator("#status .meter")).to_contain_text("of 2,048 tokens")
    expect(chat.locator("#message textarea")).to_have_value("")


def test_an_example_brings_its_system_prompt(chat: Page) -> None:
    chat.get_by_text("A name of your own").click()
    expect(chat.locator(BOT).last).to_contain_text("Marla")
    expect(chat.locator("#system textarea")).to_have_value(re.compile("Marla"))


def answer_ended(page: Page) -> None:
    expect(page.locator("#status .note")).to_contain_text("first token after")


def set_number(page: Page, name: str, value: str) -> None:
    page.locator(f"#{name} input[type=number]").fill(value)
    page.locator(f"#{name} input[type=number]").press("Tab")
    for slider in page.locator(f"#{name} input[type=range]").all():  # it follows the number
        expect(slider).to_have_value(value)


def test_an_answer_grows_on_the_page_and_stops_when_told(chat: Page) -> None:
    # at temperature 2 this model rambles to the end of its window
    set_number(chat, "temperature", "2")
    set_number(chat, "max-tokens", "2000")
    chat.get_by_text("More sampling controls").click()
    set_number(chat, "seed", "196")
    send(chat, "Tell me a story.")
    answer = chat.locator(BOT).last
    # Clicked in the page itself: a fast machine has written all before the browser is asked again.
    lengths = chat.wait_for_function(GROWN_AND_STOPPED, arg=BOT).json_value()
    before = lengths[0]
    assert lengths[-1] >= before + 20
    expect(chat.locator("#status .note")).to_contain_text("stopped by you")
    assert len(answer.inner_text()) > before
    send_again = chat.locator("#message textarea")
    expect(send_again).to_be_editable()


def test_an_edited_message_is_answered_anew_and_what_followed_is_gone(chat: Page) -> None:
    for text in ("What is the capital of Japan?", "What is the capital of Norway?"):
        send(chat, text)
        answer_ended(chat)
        expect(chat.locator(f"#chat .user .prose:has-text('{text}')")).to_have_count(1)
    chat.get_by_label("Edit").first.click()
    chat.locator("#chat textarea").fill("What is the capital of France?")
    chat.get_by_label("Submit").click()
    expect(chat.locator(BOT)).to_have_count(1)
    expect(chat.locator(BOT)).to_contain_text("Paris")


def test_undo_brings_the_message_back(chat: Page) -> None:
    send(chat, "What is the capital of Japan?")
    expect(chat.locator("#status .note")).to_contain_text("first token after")
    chat.get_by_label("undo", exact=False).last.click()
    expect(chat.locator("#message textarea")).to_have_value("What is the capital of Japan?")


def test_the_theme_and_what_is_pasted_at_once_after_opening_are_remembered(chat: Page) -> None:
    stored, dark = "localStorage.getItem('mistral-playground.preferences')", re.compile(r"\bdark\b")
    chat.click('[data-action="theme"]')
    expect(chat.locator("body")).to_have_class(dark)
    chat.reload()
    system = chat.locator("#system textarea")
    system.fill("Answer in one word.")  # as soon as it takes input
    chat.wait_for_selector("#message textarea:enabled")
    expect(system).to_have_value("Answer in one word.")
    expect(chat.locator("body")).to_have_class(dark)
    before = chat.evaluate(stored)
    system.blur()
    chat.wait_for_function(f"before => {stored} !== before", arg=before)
    chat.click('[data-action="theme"]')
    expect(chat.locator("body")).not_to_have_class(dark)
    chat.reload()
    expect(system).to_have_value("Answer in one word.")
    expect(chat.locator("body")).not_to_have_class(dark)
    restored(chat)


def test_a_prompt_past_the_window_is_said_and_the_message_is_kept(chat: Page) -> None:
    text = "word " * 4000
    send(chat, text)
    expect(chat.locator(".toast-body")).to_contain_text("tokens")
    expect(chat.locator("#message textarea")).to_have_value(re.compile("word word"))


def test_a_table_is_drawn_and_fits_a_phone(chat: Page) -> None:
    chat.set_viewport_size({"width": 390, "height": 844})
    send(chat, "Could you make a table of the planets, please?")
    expect(chat.locator(f"{BOT} td").first).to_have_text("Mercury")
    assert chat.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_thumb_in_the_chat_becomes_a_training_row(chat: Page) -> None:
    send(chat, "What is the capital of Italy?")
    expect(chat.locator(BOT).last).to_contain_text("Rome")
    answer_ended(chat)
    chat.locator("#chat").get_by_label("Like", exact=True).last.click()
    chat.get_by_role("tab", name="Fine-tune", exact=True).click()
    chat.get_by_label("Good answers: votes, thumbs up, edits").check()
    expect(chat.locator("#ft-report")).to_contain_text("rows")
    chat.locator("#ft-line input").fill("1")
    expect(chat.locator("#ft-preview")).to_contain_text("Example 1")
