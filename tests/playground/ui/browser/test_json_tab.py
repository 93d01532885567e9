"""The JSON tab in a real browser: a schema, a text, a batch of texts."""

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def tab(page: Page) -> Page:
    page.get_by_role("tab", name="JSON", exact=True).click()
    page.get_by_role("button", name="A person").click()
    expect(page.locator("#json-schema")).to_contain_text("email")
    expect(page.locator("#json-verdict")).to_contain_text("strictly")
    return page


def test_an_example_is_extracted_field_by_field(tab: Page) -> None:
    values = ["Clara", "Vienna", "clara@example.org"]
    tab.get_by_role("button", name="A person").click()
    expect(tab.locator("#json-schema")).not_to_be_empty()
    tab.locator("#json-extract").click()
    expect(tab.locator("#json-badge")).to_contain_text("Strict")
    for value in values:
        expect(tab.locator("#json-fields")).to_contain_text(value)
    expect(tab.locator("#json-fields .mark")).to_have_text(["✓"] * len(values))


def test_a_schema_is_checked_as_it_is_typed(tab: Page) -> None:
    editor = tab.locator("#json-schema .cm-content")
    editor.fill('{"type": "strin"}')
    expect(tab.locator("#json-verdict .bad")).to_contain_text("/type")
    editor.fill('{"type": "string", "format": "x-own"}')
    expect(tab.locator("#json-verdict .good")).to_contain_text("checked")


def test_a_file_of_texts_is_extracted_and_downloaded(tab: Page, tmp_path: Path) -> None:
    names = ["Anna", "Clara", "Dora"]
    source = tmp_path / "people.csv"
    source.write_text(
        "text\n" + "".join(f"Name: {name}; City: Oslo; Email: a@b.org\n" for name in names)
    )
    tab.get_by_role("button", name="A person").click()
    expect(tab.locator("#json-schema")).to_contain_text("email")
    tab.get_by_role("button", name="Many texts").click()
    tab.locator("#json-file input[type=file]").set_input_files(source)
    uploaded = tab.locator("#json-file").get_by_role("cell", name="people.csv")
    expect(uploaded).to_be_visible()
    tab.locator("#json-all").click()
    expect(tab.locator("#json-progress")).to_contain_text("3 of 3 texts", timeout=60_000)
    with tab.expect_download() as waiting:
        tab.locator("#json-jsonl").click()
    rows = [json.loads(line) for line in waiting.value.path().read_text().splitlines()]
    assert [row["value"]["name"] for row in rows] == names
    with tab.expect_download() as waiting:
        tab.locator("#json-csv").click()
    with waiting.value.path().open() as file:
        assert len(list(csv.DictReader(file))) == 3
