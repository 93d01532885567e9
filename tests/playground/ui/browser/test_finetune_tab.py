"""From a file of rows to an adapter that the `together` client asks by name, all in the browser."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from together import Together

from playground.studio.studio import SAMPLES

pytestmark = pytest.mark.browser
LONG_MS = 200_000


def choose(page: Page, element: str, option: str) -> None:
    """Pick an option of a dropdown."""
    page.locator(f"{element} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def open_section(page: Page, name: str) -> None:
    page.get_by_role("tab", name="Fine-tune", exact=True).click()
    page.get_by_role("tab", name=name).click()


def few_rows(folder: Path) -> tuple[Path, str]:
    """A file of 24 sample rows, and the first question in it."""
    lines = (SAMPLES / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()[:24]
    path = folder / "catalogue.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path, json.loads(lines[0])["messages"][0]["content"]


@pytest.mark.training
@pytest.mark.slow
def test_an_adapter_is_trained_compared_promoted_and_asked_by_name(
    new_page: Page, playground_url: str, tmp_path: Path
) -> None:
    rows, question = few_rows(tmp_path)
    new_page.get_by_role("tab", name="Fine-tune", exact=True).click()
    new_page.locator("#ft-files input[type=file]").set_input_files(rows)
    expect(new_page.locator("#ft-report")).to_contain_text(
        "Every row can be trained on", timeout=30_000
    )
    expect(new_page.locator("#ft-preview .trained").first).to_be_visible()
    expect(new_page.locator("#ft-plan")).to_contain_text("Fits")
    new_page.locator("#ft-name input").fill("shop")
    new_page.get_by_role("button", name="All recipe fields").click()
    new_page.locator("#ft-max_steps input").fill("8")
    new_page.locator("#ft-max_steps input").press("Tab")
    new_page.locator("#ft-start").click()
    expect(new_page.locator("#ft-head")).to_contain_text("shop")

    new_page.reload()  # a job belongs to the server
    new_page.wait_for_selector("#message textarea", state="attached")
    open_section(new_page, "Jobs")
    expect(new_page.locator("#ft-head")).to_contain_text("Done", timeout=LONG_MS)
    expect(new_page.locator("#ft-head")).to_contain_text("step 8 of 8")
    expect(new_page.locator("#ft-head")).to_contain_text("verdict:")
    expect(new_page.locator("#ft-curves polyline.loss")).to_be_visible()
    expect(new_page.locator("iframe.card")).to_be_visible()
    new_page.locator("#ft-promote-it input").uncheck()
    new_page.locator("#ft-publish").click()
    expect(new_page.locator("#ad-table")).to_contain_text("shop")
    expect(new_page.locator("#ad-table")).not_to_contain_text("promoted")
    new_page.locator("#ad-try").click()
    expect(new_page.locator("#ad-note")).to_contain_text("choose embedded:shop.v1")

    new_page.get_by_role("tab", name="Compare").click()
    choose(new_page, "#cmp-model-2", "embedded:shop.v1")
    new_page.locator("#cmp-question textarea").fill(question)
    new_page.keyboard.press("Enter")
    expect(new_page.locator("#cmp-answer-b")).to_contain_text("adapter shop.v1")
    expect(new_page.locator("#cmp-answer-a")).not_to_contain_text("adapter")
    answer = new_page.locator("#cmp-text-b").inner_text()
    new_page.locator("#cmp-vote-b").click()
    expect(new_page.locator("#cmp-verdict")).to_contain_text("B is better: embedded:shop.v1")

    open_section(new_page, "Adapters")
    new_page.locator("#ad-promote").click()
    expect(new_page.locator("#ad-table .promoted")).to_be_visible()
    client = Together(base_url=f"{playground_url}/v1", api_key="none", project_id="any")
    served = [model.id for model in client.models.list()]
    assert "embedded:shop" in served
    for name in ("embedded:shop", "shop"):
        completion = client.chat.completions.create(
            model=name,
            messages=[{"role": "user", "content": question}],
            temperature=0,
            max_tokens=256,
        )
        message = completion.choices[0].message
        assert message is not None
        assert message.content == answer


def test_rows_that_cannot_be_trained_are_named_with_their_lines(
    new_page: Page, tmp_path: Path
) -> None:
    page = new_page
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "only"}\n{"mes\n')
    page.get_by_role("tab", name="Fine-tune", exact=True).click()
    page.locator("#ft-files input[type=file]").set_input_files(path)
    report = page.locator("#ft-report")
    expect(report).to_contain_text("rows.jsonl:2")
    expect(report).to_contain_text("rows.jsonl:3")
    page.locator("#ft-name input").fill("../up")
    start = page.locator("#ft-start")
    start.click()
    expect(start).to_have_text("Start training despite 2 errors: are you sure?")
    start.click()
    expect(page.locator(".toast-body")).to_contain_text("no adapter name")


@pytest.mark.training
@pytest.mark.slow
def test_a_job_is_paused_goes_on_and_is_deleted(page: Page) -> None:
    page.get_by_role("tab", name="Fine-tune", exact=True).click()
    page.locator("#ft-sample").click()
    expect(page.locator("#ft-report")).to_contain_text("250")
    page.locator("#ft-start").click()
    head = page.locator("#ft-head")
    expect(head).to_contain_text("step", timeout=60_000)
    page.locator("#ft-pause").click()
    expect(head).to_contain_text("Paused")
    page.locator("#ft-resume").click()
    expect(head).to_contain_text("Running")
    page.locator("#ft-stop").click()
    expect(head).to_contain_text("Stopped")
    page.locator("#ft-delete").click()
    expect(page.locator("#ft-delete")).to_have_text("Delete: are you sure?")
    expect(head).to_contain_text("Stopped")
    page.locator("#ft-delete").click()
    expect(head).not_to_contain_text("Stopped")


def test_columns_of_other_names_are_chosen(
    new_page: Page, playground_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Thema;Inhalt;Titel\nGates;Gate 4.;Which gate?\n", encoding="utf-8")
    open_section(new_page, "New fine-tune")
    new_page.locator("#ft-files input[type=file]").set_input_files(path)
    expect(new_page.locator("#ft-report")).to_contain_text("known fields")
    choose(new_page, "#ft-question-column", "Titel")
    expect(new_page.get_by_role("option")).to_have_count(0)
    choose(new_page, "#ft-answer-column", "Inhalt")
    expect(new_page.locator("#ft-report")).to_contain_text("Every row can be trained on")
    expect(new_page.locator("#ft-preview")).to_contain_text("Gate 4.")
