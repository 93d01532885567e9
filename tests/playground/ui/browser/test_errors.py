"""What is wrong is said where it is, and nothing that cannot be undone is done at one click."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.playground.ui.browser.conftest import with_a_new_chat

pytestmark = pytest.mark.browser
SAID = ":is(.toast-body, .notice, .field-error):visible"


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def type_code(page: Page, element: str, text: str) -> None:
    page.locator(f"{element} .cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)


def test_a_wrong_number_is_said_beside_it(echo_tab: Page) -> None:
    open_tab(echo_tab, "Chat")
    number = echo_tab.locator("#max-tokens input")
    number.fill("-5")
    number.press("Tab")
    echo_tab.click("#view-code")
    error = echo_tab.locator("#max-tokens .field-error")
    expect(error).to_contain_text("is not between")
    number.fill("100")
    expect(error).to_have_count(0)
    number.fill("-5")
    echo_tab.fill("#message textarea", "Hello")
    echo_tab.press("#message textarea", "Enter")
    expect(error).to_contain_text("is not between")
    expect(echo_tab.locator(".toast-body")).to_have_count(0)
    expect(echo_tab.locator("#chat .error:visible")).to_have_count(0)
    expect(echo_tab.locator("#message textarea")).to_have_value("Hello")
    expect(echo_tab.locator("#status .meter")).to_be_visible()
    number.fill("100")
    expect(error).to_have_count(0)


def test_a_broken_paste_is_said_beside_it(echo_tab: Page) -> None:
    open_tab(echo_tab, "Functions")
    echo_tab.get_by_role("button", name="Paste a definition").click()
    echo_tab.fill("#fn-source textarea", "def broken(a: int")
    echo_tab.click("#fn-add")
    expect(echo_tab.locator("#fn-source .field-error")).to_be_visible()
    expect(echo_tab.locator("#fn-source textarea")).to_have_value("def broken(a: int")


def test_code_of_a_broken_schema_is_refused_aloud(echo_tab: Page) -> None:
    open_tab(echo_tab, "JSON")
    type_code(echo_tab, "#json-schema", "{oops")
    echo_tab.click("#json-code-button")
    error = echo_tab.locator("#json-schema .field-error")
    expect(error).to_contain_text("not JSON")
    type_code(echo_tab, "#json-schema", '{"type": "integer"}')
    expect(error).to_have_count(0)


def test_a_recipe_out_of_range_has_no_plan(echo_tab: Page) -> None:
    open_tab(echo_tab, "Fine-tune")
    expect(echo_tab.locator("#ft-plan")).to_contain_text("Fits")
    echo_tab.fill("#ft-lora_r input", "100000")
    echo_tab.press("#ft-lora_r input", "Tab")
    expect(echo_tab.locator("#ft-plan")).to_contain_text("lora_r")
    expect(echo_tab.locator("#ft-plan")).not_to_contain_text("Fits")
    expect(echo_tab.locator("#ft-lora_r .field-error")).to_contain_text("less than or equal")
    echo_tab.fill("#ft-lora_r input", "8")
    echo_tab.press("#ft-lora_r input", "Tab")
    expect(echo_tab.locator("#ft-plan")).to_contain_text("Fits")
    expect(echo_tab.locator("#ft-lora_r .field-error")).to_have_count(0)


def test_a_result_goes_with_its_schema(page: Page) -> None:
    open_tab(page, "JSON")
    page.click("#json-extract")
    expect(page.locator("#json-badge .good")).to_be_visible()
    page.get_by_role("button", name="A person").click()
    expect(page.locator("#json-badge")).not_to_contain_text("Strict")
    expect(page.locator("#json-fields table")).to_have_count(0)


def test_a_column_of_a_table_is_chosen(echo_tab: Page, tmp_path: Path) -> None:
    open_tab(echo_tab, "JSON")
    echo_tab.get_by_role("button", name="Many texts").click()
    path = tmp_path / "people.csv"
    path.write_text("name,age\nAda,3\n")
    echo_tab.locator("#json-file input[type=file]").set_input_files(path)
    expect(echo_tab.locator("#json-column")).to_contain_text("No column is called")
    expect(echo_tab.locator("#json-column input")).to_have_value("name")


def test_an_empty_file_is_no_training_data(echo_tab: Page, tmp_path: Path) -> None:
    open_tab(echo_tab, "Fine-tune")
    path = tmp_path / "none.jsonl"
    path.write_text("\n")
    echo_tab.locator("#ft-files input[type=file]").set_input_files(path)
    report = echo_tab.locator("#ft-report")
    expect(report.locator(".bad").first).to_be_visible()
    expect(report).not_to_contain_text("Every row")
    echo_tab.fill("#ft-name input", "empty")
    echo_tab.click("#ft-start")
    expect(echo_tab.locator(SAID).first).to_be_visible()
    expect(echo_tab.locator("#ft-head")).not_to_be_visible()


def test_what_cannot_be_undone_asks_first(echo_tab: Page) -> None:
    open_tab(echo_tab, "Fine-tune")
    echo_tab.get_by_role("tab", name="Adapters").click()
    said = echo_tab.locator(SAID)
    for element, words in (("retire", "Retire"), ("roll-back", "Roll back"), ("delete", "Delete")):
        button = echo_tab.locator(f"#ad-{element}")
        button.click()
        expect(button).to_have_text(f"{words}: are you sure?")
        echo_tab.locator("#header .brand").focus()  # another thought
        expect(button).to_have_text(words)
    expect(said).to_have_count(0)
    button.click()
    button.click()
    expect(said.first).to_contain_text("version")
    expect(button).to_have_text("Delete")


def test_an_examples_prompt_ends_with_its_chat(page: Page) -> None:
    with_a_new_chat(page)
    stored = "localStorage.getItem('mistral-playground.preferences')"
    before = page.evaluate(stored)
    page.fill("#system textarea", "Be kind.")
    page.locator("#system textarea").blur()
    page.wait_for_function(f"before => {stored} !== before", arg=before)
    page.get_by_text("Talk like a pirate").click()
    expect(page.locator("#chat .bot .prose")).to_contain_text("rr")
    expect(page.locator("#status .note")).to_contain_text("first token")
    page.click("#new-chat")
    expect(page.locator("#system textarea")).to_have_value("Be kind.")
    page.click("#reset")
    expect(page.locator("#system textarea")).to_have_value("")
