"""The whole way: two versions of a prompt, swept over base and adapter, opened, compared blind,
voted for, exported, checked by `finetune`, and all of it still there after a reload.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.finetune.test_adapter_commands import finetune
from tests.trained import FACTS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
(ZOLPAR, COSTS), *_ = FACTS.items()
ROWS = "\n".join(["input,expected", *[f"{asked},{told}" for asked, told in FACTS.items()] * 25])
ADAPTER = "embedded:prices"


def go_to(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()


def choose(page: Page, elem_id: str, *names: str) -> None:
    for name in names:
        page.locator(f"#{elem_id} input").click()
        page.get_by_role("option", name=name, exact=True).click()
        expect(page.locator(f"#{elem_id}")).to_contain_text(name)
    page.locator(f"#{elem_id} input").press("Escape")


def write_two_versions(page: Page) -> None:
    go_to(page, "Prompts")
    page.fill("#pr-name :is(input, textarea)", "price")
    page.fill("#pr-user textarea", "{{ input }}")
    page.locator("#pr-user textarea").blur()
    expect(page.locator("#pr-variables")).to_contain_text("name: input")
    page.click("#pr-save")
    expect(page.locator("#pr-version input")).to_have_value("v1")
    page.fill("#pr-user textarea", "Please: {{ input }}")
    page.fill("#pr-message :is(input, textarea)", "Politely")
    page.click("#pr-save")
    expect(page.locator("#pr-version input")).to_have_value("v2 · Politely")


def sweep_both_over_both(page: Page) -> None:
    go_to(page, "Evaluate")
    choose(page, "ev-saved", "price@1", "price@2")
    choose(page, "ev-models", ADAPTER)
    page.fill("#ev-max-tokens :is(input, textarea)", "12")
    page.fill("#ev-rows textarea", ROWS)
    page.get_by_role("button", name="Add grader").click()
    expect(page.locator("#ev-graders li")).to_have_count(1)
    page.click("#ev-start")
    expect(page.locator("#ev-head .state.done")).to_be_visible()
    expect(page.locator("#ev-plot circle")).to_have_count(4)


def open_the_best_cell(page: Page) -> None:
    label = page.locator("#ev-cells").get_by_text(f"price@1 · {ADAPTER}", exact=True)
    label.locator("visible=true").first.click()  # a hidden table measures the longest one
    expect(page.locator("#ev-cell input")).to_have_value(f"price@1 · {ADAPTER}")
    expect(page.locator("#ev-answers")).to_contain_text(COSTS)


def compare_blind_and_vote(page: Page) -> None:
    """The adapter's answer is the one that names the price."""
    go_to(page, "Compare")
    page.click("#cmp-model-2 input")
    page.get_by_role("option", name=ADAPTER, exact=True).click()
    page.check("#cmp-blind input")
    page.fill("#cmp-question textarea", ZOLPAR)
    page.press("#cmp-question textarea", "Enter")
    expect(page.locator("#cmp-vote")).to_be_visible()
    expect(page.locator("#cmp-label-a")).not_to_contain_text("embedded")
    right = COSTS in page.locator("#cmp-text-a").inner_text()
    page.click("#cmp-vote-a" if right else "#cmp-vote-b")
    expect(page.locator("#cmp-verdict")).to_contain_text(f"is better: {ADAPTER}")


def exported(page: Page, elem_id: str, folder: Path) -> Path:
    expect(page.locator(f"#{elem_id}")).to_be_enabled()
    with page.expect_download() as download:
        page.click(f"#{elem_id}")
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_the_way_from_a_prompt_to_training_rows(
    keyed: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = keyed
    write_two_versions(page)
    sweep_both_over_both(page)
    open_the_best_cell(page)
    compare_blind_and_vote(page)
    page.get_by_role("button", name="Votes so far").click()
    for elem_id, method in (("cmp-preferences", "dpo"), ("cmp-good", "sft")):
        file = exported(page, elem_id, tmp_path)
        assert finetune("check", str(file), "--set", f"method={method}") == 0
        assert "(1)" in capsys.readouterr().out  # the rows of its format

    page.reload()
    go_to(page, "Prompts")
    expect(page.locator("#pr-version input")).to_have_value("v2 · Politely")
    expect(page.locator("#pr-user textarea")).to_have_value("Please: {{ input }}")
    go_to(page, "Evaluate")
    expect(page.locator("#ev-plot circle")).to_have_count(4)
    expect(page.locator("#ev-rows textarea")).to_have_value(ROWS)
    go_to(page, "Compare")
    page.get_by_role("button", name="Votes so far").click()
    expect(page.locator("#cmp-score")).to_contain_text(ADAPTER)
    go_to(page, "Usage")
    choose(page, "us-groups", "Prompt version")
    table = page.locator("#us-report tbody")
    expect(table).to_contain_text("price@1")
    expect(table.locator("tr", has_text="price@2")).to_have_count(2)
    expect(table.locator("tr").first).to_contain_text("50")
