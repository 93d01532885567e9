"""The page does what people are used to from other chats."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.playground.ui.browser.conftest import WINDOW, reload
from tests.playground.ui.browser.scripted import LATE, SLOWLY, HoldingBackend

pytestmark = pytest.mark.browser
BOX, BOT = "#message textarea", "#chat .bot .prose"
LOG = "#chat .bubble-wrap"


def send(page: Page, text: str) -> None:
    page.fill(BOX, text)
    page.press(BOX, "Enter")


def ended(page: Page) -> None:
    expect(page.locator("#status .note")).to_contain_text("token")
    expect(page.locator("#message .stop-button")).to_have_count(0)


def test_a_reader_who_scrolls_up_stays_there(echo_chat: Page, holding: HoldingBackend) -> None:
    send(echo_chat, SLOWLY + "\n\n".join(f"paragraph {number}" for number in range(90)))
    expect(echo_chat.locator(BOT)).to_contain_text("paragraph 40")
    echo_chat.locator(LOG).hover()
    echo_chat.mouse.wheel(0, -300)
    echo_chat.wait_for_function(
        "log => { const e = document.querySelector(log);"
        " return e.scrollHeight - e.scrollTop - e.clientHeight > 150 }",
        arg=LOG,
    )
    top = echo_chat.evaluate("log => document.querySelector(log).scrollTop", LOG)
    holding.holds = False
    expect(echo_chat.locator(BOT)).to_contain_text("paragraph 80")
    assert abs(echo_chat.evaluate("log => document.querySelector(log).scrollTop", LOG) - top) < 5
    ended(echo_chat)
    send(echo_chat, "and now?")
    echo_chat.wait_for_function(
        "log => { const e = document.querySelector(log);"
        " return e.scrollHeight - e.scrollTop - e.clientHeight < 40 }",
        arg=LOG,
    )


def test_an_answer_names_its_model_and_pulses_before_it_begins(
    echo_chat: Page, holding: HoldingBackend
) -> None:
    animation = (
        "() => { const line = document.querySelector('#chat .byline');"
        " return line && getComputedStyle(line, '::after').animationName }"
    )
    thumbs = """[...document.querySelectorAll('#chat .message-buttons [aria-label="Like"]')]
        .filter(thumb => thumb.getClientRects().length).length"""
    send(echo_chat, f"{LATE}hello there")
    # Half an answer is not rated.
    echo_chat.wait_for_function(
        f"() => ({animation})() === 'pulse' && {thumbs} === 0", polling="raf"
    )
    expect(echo_chat.locator("#chat .byline")).to_have_text("echo")
    holding.holds = False
    ended(echo_chat)
    assert echo_chat.evaluate(animation) == "none"
    assert echo_chat.evaluate(thumbs) == 1
    expect(echo_chat.locator(BOT)).to_contain_text("hello there")


PULSES = """() => document.addEventListener('animationstart', event => {
    if (event.animationName === 'pulse') (window.pulses ??= []).push(event.target);
})"""


def test_every_tab_shows_that_it_waits(echo_tab: Page, holding: HoldingBackend) -> None:
    echo_tab.evaluate(PULSES)
    for tab, box, action, place in (
        ("Functions", "fn-message", "", "#fn-chat .message-buttons"),
        ("JSON", "json-text", "json-extract", "#json-badge"),
        ("Prompts", "pr-user", "pr-run", "#pr-note"),
        ("Compare", "cmp-question", "", "#cmp-text-b"),
    ):
        holding.holds = True
        echo_tab.get_by_role("tab", name=tab, exact=True).click()
        echo_tab.fill(f"#{box} textarea", f"{LATE}1")
        echo_tab.click(f"#{action}") if action else echo_tab.press(f"#{box} textarea", "Enter")
        echo_tab.wait_for_function(
            "place => window.pulses?.some(where => where.matches(place))", arg=place
        )
        holding.holds = False
        echo_tab.wait_for_function(
            "place => getComputedStyle(document.querySelector(place), '::after').animationName"
            " === 'none'",
            arg=place,
        )


def test_a_retry_keeps_both_answers(echo_chat: Page) -> None:
    send(echo_chat, "same")
    ended(echo_chat)
    echo_chat.locator("#chat").get_by_label("Retry").click()
    options = echo_chat.locator("#chat .options .option")
    expect(options).to_have_text(["‹ 1/2", "2/2"])
    options.first.click()
    expect(options).to_have_text(["1/2", "2/2 ›"])
    send(echo_chat, "next")
    expect(echo_chat.locator(BOT)).to_have_count(2)
    expect(options).to_have_count(0)


def test_an_answer_is_edited_and_the_chat_goes_on(echo_chat: Page) -> None:
    send(echo_chat, "Map<K, V>?")
    ended(echo_chat)
    echo_chat.locator("#chat").get_by_label("Edit").last.click()
    box = echo_chat.locator("#chat textarea")
    expect(box).to_have_value("Map<K, V>?")
    box.fill("A map of <b>keys</b>.")
    echo_chat.locator("#chat").get_by_label("Submit").click()
    expect(echo_chat.locator(BOT)).to_contain_text("A map of <b>keys</b>.")
    expect(echo_chat.locator("#chat .byline")).to_have_text("echo · edited")
    send(echo_chat, "next")
    expect(echo_chat.locator(BOT)).to_have_count(2)
    expect(echo_chat.locator(BOT).first).to_contain_text("A map of <b>keys</b>.")


def test_escape_stops_an_answer(echo_chat: Page, holding: HoldingBackend) -> None:
    send(echo_chat, SLOWLY + "word " * 600)
    expect(echo_chat.locator(BOT)).to_contain_text("word")
    echo_chat.keyboard.press("Escape")
    expect(echo_chat.locator("#status .note")).to_contain_text("stopped by you")


def test_the_code_panel_is_a_dialog(echo_chat: Page) -> None:
    echo_chat.click("#view-code")
    echo_chat.focus(BOX)  # as an answer that ends meanwhile does
    dialog = echo_chat.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator(".code-close")).to_be_focused()
    for _ in range(12):
        echo_chat.keyboard.press("Tab")
    assert echo_chat.evaluate("() => Boolean(document.activeElement.closest('.code-panel'))")
    echo_chat.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(echo_chat.locator("#view-code")).to_be_focused()


def test_the_message_box_is_few_tabs_away(echo_chat: Page) -> None:
    for text in ("one", "two", "three"):
        send(echo_chat, text)
        ended(echo_chat)
    echo_chat.evaluate(
        "() => { document.activeElement.blur(); window.getSelection().removeAllRanges() }"
    )
    reload(echo_chat)
    expect(echo_chat.locator(BOX)).to_be_focused()
    echo_chat.locator("#header .skip").focus()
    echo_chat.keyboard.press("Enter")
    expect(echo_chat.locator(BOX)).to_be_focused()
    echo_chat.keyboard.type("sent")
    echo_chat.keyboard.press("Tab")
    expect(echo_chat.locator("#message button")).to_be_focused()


def test_settings_open_whole_and_only_where_they_are(echo_chat: Page) -> None:
    echo_chat.set_viewport_size({"width": 1366, "height": 768})
    echo_chat.get_by_text("More sampling controls").click()
    more = echo_chat.locator("#more-sampling")
    expect(more.locator("#stop textarea")).to_be_attached()
    assert more.evaluate("e => e.scrollHeight - e.clientHeight") <= 1
    button = echo_chat.locator('#header [data-action="settings"]')
    expect(button).to_be_visible()
    echo_chat.get_by_role("tab", name="JSON", exact=True).click()
    expect(button).to_be_hidden()
    echo_chat.set_viewport_size(WINDOW)


def test_an_active_system_prompt_is_seen(echo_chat: Page) -> None:
    echo_chat.fill("#system textarea", "Talk like <b>a pirate</b>.")
    chip = echo_chat.locator("#system-chip button")
    expect(chip).to_be_hidden()  # the settings are open
    echo_chat.click('[data-action="settings"]')
    expect(chip).to_have_text("System prompt: Talk like <b>a pirate</b>.")
    chip.click()
    expect(echo_chat.locator("#system textarea")).to_be_focused()
    echo_chat.fill("#system textarea", "")
    expect(chip).to_have_count(0)


@pytest.fixture(scope="module")
def phone(regular: BrowserContext, playground_url: str) -> Iterator[Page]:
    """The page, opened by a phone at the address of a tab."""
    page = regular.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{playground_url}#finetune")
    expect(page.locator("#ft-name")).to_be_visible()
    yield page
    page.close()


def test_a_phone_reaches_every_tab(phone: Page) -> None:
    phone.click("#tabs > .tab-wrapper .overflow-menu > button")
    others = phone.locator("#tabs > .tab-wrapper .overflow-dropdown")
    others.get_by_role("button", name="Compare").click()
    expect(phone.locator("#cmp-question")).to_be_visible()
    phone.wait_for_url("**#compare")
    phone.go_back()
    expect(phone.locator("#ft-name")).to_be_visible()
    phone.keyboard.press("Control+k")
    phone.keyboard.type("go compare")
    phone.keyboard.press("Enter")
    expect(phone.locator("#cmp-question")).to_be_visible()
    phone.get_by_role("tab", name="Chat", exact=True).click()
    for close in (phone.get_by_role("button", name="Close settings"), phone.locator("#chat")):
        phone.click('#header [data-action="settings"]')
        expect(phone.locator("#settings")).to_be_visible()
        close.click(position={"x": 8, "y": 8})  # of the conversation, where no panel lies over it
        expect(phone.locator("#settings")).to_be_hidden()


def test_a_phone_folds_the_form_and_shows_the_result(phone: Page) -> None:
    phone.get_by_role("tab", name="JSON", exact=True).click()
    phone.click("#json-extract")
    expect(phone.locator("#json-badge .good")).to_be_in_viewport()
    expect(phone.locator("#json-schema")).to_be_hidden()
    phone.get_by_role("button", name="Show the form").locator("visible=true").click()
    expect(phone.locator("#json-schema")).to_be_visible()
    sizes = phone.evaluate(
        "() => [...document.querySelectorAll('textarea, input[type=text], input[type=number]')]"
        ".filter(e => e.offsetParent).map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 16


def test_keys_open_the_palette_the_sheet_and_the_last_message(echo_chat: Page) -> None:
    send(echo_chat, "first words")
    ended(echo_chat)
    echo_chat.keyboard.press("Control+k")
    palette = echo_chat.get_by_role("dialog", name="Commands")
    expect(palette.get_by_role("combobox")).to_be_focused()
    echo_chat.keyboard.type("no such command")
    expect(palette).to_contain_text("No command has these words.")
    echo_chat.keyboard.press("Escape")
    expect(palette).to_have_count(0)
    expect(echo_chat.locator(BOX)).to_be_focused()
    echo_chat.keyboard.press("Control+k")
    echo_chat.keyboard.type("go json")
    echo_chat.keyboard.press("Enter")
    expect(echo_chat.locator("#json-text textarea")).to_be_visible()
    echo_chat.go_back()
    echo_chat.locator("#header .brand").focus()
    echo_chat.keyboard.press("?")
    sheet = echo_chat.get_by_role("dialog", name="Keys")
    expect(sheet).to_contain_text("Command palette")
    echo_chat.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    echo_chat.locator(BOX).focus()
    echo_chat.keyboard.press("?")  # in a box it is a letter
    expect(echo_chat.locator(BOX)).to_have_value("?")
    expect(sheet).to_have_count(0)
    echo_chat.fill(BOX, "")
    echo_chat.keyboard.press("ArrowUp")
    edited = echo_chat.locator("#chat textarea")
    expect(edited).to_have_value("first words")
    edited.fill("other words")
    echo_chat.locator("#chat").get_by_label("Submit").click()
    expect(echo_chat.locator(BOT)).to_contain_text("other words")
