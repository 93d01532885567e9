"""The Evaluate tab as a person uses it."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from finetune.data.rows import read_rows

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROWS = "country,expected\nFrance,Paris\nItaly,Rome\nJapan,Tokyo"


def test_sweep_from_form_to_training_rows(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Evaluate", exact=True).click()
    page.fill("#ev-systems textarea", "Answer in one word.\n---\nYou are helpful.")
    page.fill("#ev-message textarea", "What is the capital of {{ country }}?")
    page.fill("#ev-max-tokens :is(input, textarea)", "24")
    page.fill("#ev-rows textarea", ROWS)
    page.get_by_role("button", name="Add grader").click()
    expect(page.locator("#ev-graders li")).to_have_count(1)
    page.get_by_role("button", name="Start sweep", exact=True).click()
    expect(page.locator("#ev-head .state.done")).to_be_visible()
    expect(page.locator("#ev-plot circle")).to_have_count(2)
    with page.expect_download() as result:
        page.get_by_role("button", name="Download result").click()
    assert json.loads(Path(result.value.path()).read_text())["done"] == 6
    page.get_by_role("tab", name="Compare two cells").click()
    expect(page.locator("#ev-comparison")).to_contain_text("McNemar, exact")
    page.get_by_role("tab", name="Answers").click()
    page.locator("#ev-cells").get_by_text("v2", exact=True).first.click()
    expect(page.locator("#ev-answers")).to_contain_text("The capital of France is Paris.")
    page.get_by_role("button", name="Make training rows").click()
    with page.expect_download() as rows:
        page.get_by_role("button", name="Download training rows").click()
    file = tmp_path / "worst.jsonl"
    rows.value.save_as(file)
    assert (len(read_rows(file).rows), read_rows(file).errors) == (3, ())
    page.reload()
    page.get_by_role("tab", name="Evaluate", exact=True).click()
    expect(page.locator("#ev-head .state.done")).to_be_visible()
    expect(page.locator("#ev-rows textarea")).to_have_value(ROWS)
