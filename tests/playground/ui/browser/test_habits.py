"""The page does what people are used to from other chats."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.playground.ui.browser.scripted import SLOWLY

pytestmark = pytest.mark.browser
BOX, BOT = "#message textarea", "#chat .bot .prose"
LOG = "#chat .bubble-wrap"


def send(page: Page, text: str) -> None:
    page.fill(BOX, text)
    page.press(BOX, "Enter")


def ended(page: Page) -> None:
    expect(page.locator("#status .note")).to_contain_text("token")
    expect(page.locator("#message .stop-button")).to_have_count(0)


def test_a_reader_who_scrolls_up_stays_there(echoed: Page) -> None:
    send(echoed, SLOWLY + "\n\n".join(f"paragraph {number}" for number in range(90)))
    expect(echoed.locator(BOT)).to_contain_text("paragraph 40")
    echoed.locator(LOG).hover()
    echoed.mouse.wheel(0, -300)
    echoed.wait_for_function(
        "log => { const e = document.querySelector(log);"
        " return e.scrollHeight - e.scrollTop - e.clientHeight > 150 }",
        arg=LOG,
    )
    top = echoed.evaluate("log => document.querySelector(log).scrollTop", LOG)
    expect(echoed.locator(BOT)).to_contain_text("paragraph 80")
    assert abs(echoed.evaluate("log => document.querySelector(log).scrollTop", LOG) - top) < 5
    ended(echoed)
    send(echoed, "and now?")
    echoed.wait_for_function(
        "log => { const e = document.querySelector(log);"
        " return e.scrollHeight - e.scrollTop - e.clientHeight < 40 }",
        arg=LOG,
    )


def test_an_answer_names_its_model_and_pulses_before_it_begins(echoed: Page) -> None:
    animation = (
        "() => { const line = document.querySelector('#chat .byline');"
        " return line && getComputedStyle(line, '::after').animationName }"
    )
    send(echoed, f"{SLOWLY}hello there")
    echoed.wait_for_function(f"({animation})() === 'pulse'", polling="raf")
    expect(echoed.locator("#chat .byline")).to_have_text("echo")
    ended(echoed)
    assert echoed.evaluate(animation) == "none"
    expect(echoed.locator(BOT)).to_contain_text("hello there")


def test_a_retry_keeps_both_answers(echoed: Page) -> None:
    send(echoed, "same")
    ended(echoed)
    echoed.get_by_label("Retry").click()
    options = echoed.locator("#chat .options .option")
    expect(options).to_have_text(["‹ 1/2", "2/2"])
    options.first.click()
    expect(options).to_have_text(["1/2", "2/2 ›"])
    send(echoed, "next")
    expect(echoed.locator(BOT)).to_have_count(2)
    expect(options).to_have_count(0)


def test_an_answer_is_edited_and_the_chat_goes_on(echoed: Page) -> None:
    send(echoed, "Map<K, V>?")
    ended(echoed)
    echoed.get_by_label("Edit").last.click()
    box = echoed.locator("#chat textarea")
    expect(box).to_have_value("Map<K, V>?")
    box.fill("A map of <b>keys</b>.")
    echoed.get_by_label("Submit").click()
    expect(echoed.locator(BOT)).to_contain_text("A map of <b>keys</b>.")
    expect(echoed.locator("#chat .byline")).to_have_text("echo · edited")
    send(echoed, "next")
    expect(echoed.locator(BOT)).to_have_count(2)
    expect(echoed.locator(BOT).first).to_contain_text("A map of <b>keys</b>.")


def test_escape_stops_an_answer(echoed: Page) -> None:
    send(echoed, SLOWLY + "word " * 600)
    expect(echoed.locator(BOT)).to_contain_text("word")
    echoed.keyboard.press("Escape")
    expect(echoed.locator("#status .note")).to_contain_text("stopped by you")


def test_the_code_panel_is_a_dialog(echoed: Page) -> None:
    echoed.click("#view-code")
    dialog = echoed.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator(".code-close")).to_be_focused()
    for _ in range(12):
        echoed.keyboard.press("Tab")
    assert echoed.evaluate("() => Boolean(document.activeElement.closest('.code-panel'))")
    echoed.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(echoed.locator("#view-code")).to_be_focused()


def test_the_message_box_is_few_tabs_away(echoed: Page) -> None:
    for text in ("one", "two", "three"):
        send(echoed, text)
        ended(echoed)
    echoed.evaluate(
        "() => { document.activeElement.blur(); window.getSelection().removeAllRanges() }"
    )
    echoed.reload()
    echoed.wait_for_selector("#message textarea:enabled")
    expect(echoed.locator(BOX)).to_be_focused()
    echoed.locator("#header .skip").focus()
    echoed.keyboard.press("Enter")
    expect(echoed.locator(BOX)).to_be_focused()
    echoed.keyboard.type("sent")
    echoed.keyboard.press("Tab")
    expect(echoed.locator("#message button")).to_be_focused()


def test_settings_open_whole_and_only_where_they_are(echoed: Page) -> None:
    echoed.set_viewport_size({"width": 1366, "height": 768})
    echoed.get_by_text("More sampling controls").click()
    more = echoed.locator("#more-sampling")
    expect(more.locator("#stop textarea")).to_be_attached()
    assert more.evaluate("e => e.scrollHeight - e.clientHeight") <= 1
    button = echoed.locator('[data-action="settings"]')
    expect(button).to_be_visible()
    echoed.get_by_role("tab", name="JSON", exact=True).click()
    expect(button).to_be_hidden()


def test_an_active_system_prompt_is_seen(echoed: Page) -> None:
    echoed.fill("#system textarea", "Talk like <b>a pirate</b>.")
    chip = echoed.locator("#system-chip button")
    expect(chip).to_be_hidden()  # the settings are open
    echoed.click('[data-action="settings"]')
    expect(chip).to_have_text("System prompt: Talk like <b>a pirate</b>.")
    chip.click()
    expect(echoed.locator("#system textarea")).to_be_focused()
    echoed.fill("#system textarea", "")
    expect(chip).to_have_count(0)


def test_a_phone_folds_the_form_and_shows_the_result(browser: Browser, playground_url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{playground_url}#json")
    page.wait_for_selector("#json-extract")
    page.click("#json-extract")
    expect(page.locator("#json-badge .good")).to_be_in_viewport()
    expect(page.locator("#json-schema")).to_be_hidden()
    page.get_by_role("button", name="Show the form").first.click()
    expect(page.locator("#json-schema")).to_be_visible()
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('textarea, input[type=text], input[type=number]')]"
        ".filter(e => e.offsetParent).map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 16
    context.close()


def test_keys_open_the_palette_the_sheet_and_the_last_message(echoed: Page) -> None:
    send(echoed, "first words")
    ended(echoed)
    echoed.keyboard.press("Control+k")
    palette = echoed.get_by_role("dialog", name="Commands")
    expect(palette.get_by_role("combobox")).to_be_focused()
    echoed.keyboard.type("no such command")
    expect(palette).to_contain_text("No command has these words.")
    echoed.keyboard.press("Escape")
    expect(palette).to_have_count(0)
    expect(echoed.locator(BOX)).to_be_focused()
    echoed.keyboard.press("Control+k")
    echoed.keyboard.type("go json")
    echoed.keyboard.press("Enter")
    expect(echoed.locator("#json-text textarea")).to_be_visible()
    echoed.go_back()
    echoed.locator("#header .brand").focus()
    echoed.keyboard.press("?")
    sheet = echoed.get_by_role("dialog", name="Keys")
    expect(sheet).to_contain_text("Command palette")
    echoed.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    echoed.locator(BOX).focus()
    echoed.keyboard.press("?")  # in a box it is a letter
    expect(echoed.locator(BOX)).to_have_value("?")
    expect(sheet).to_have_count(0)
    echoed.fill(BOX, "")
    echoed.keyboard.press("ArrowUp")
    edited = echoed.locator("#chat textarea")
    expect(edited).to_have_value("first words")
    edited.fill("other words")
    echoed.get_by_label("Submit").click()
    expect(echoed.locator(BOT)).to_contain_text("other words")
