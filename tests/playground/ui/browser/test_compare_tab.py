"""The Compare tab as a person uses it."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_the_question_stays_over_drawn_answers(echoed: Page) -> None:
    echoed.get_by_role("tab", name="Compare", exact=True).click()
    question = "**bold** List<String>\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    echoed.fill("#cmp-question textarea", question)
    echoed.press("#cmp-question textarea", "Enter")
    expect(echoed.locator("#cmp-vote")).to_be_visible()
    assert echoed.locator("#cmp-asked").inner_text() == question
    for side in ("a", "b"):
        answer = echoed.locator(f"#cmp-text-{side}")
        expect(answer.locator("strong")).to_have_text("bold")
        expect(answer).to_contain_text("List<String>")
        expect(answer.locator("td").first).to_have_text("1")


def test_a_seed_stays_random_when_settings_open(echoed: Page) -> None:
    echoed.get_by_role("tab", name="Compare", exact=True).click()
    echoed.get_by_role("button", name="Prompt and settings").first.click()
    expect(echoed.locator("#cmp-seed-1 :is(input, textarea)")).to_have_value("")


def test_four_lanes_stand_two_by_two(echoed: Page) -> None:
    echoed.get_by_role("tab", name="Compare", exact=True).click()
    echoed.locator("#cmp-count label").filter(has_text="4").click()
    expect(echoed.get_by_role("combobox", name="Lane 4")).to_be_visible()
    expect(echoed.locator("#cmp-label-d")).to_be_visible()
    echoed.fill("#cmp-question textarea", "Where are you?")
    echoed.press("#cmp-question textarea", "Enter")
    expect(echoed.locator("#cmp-text-d")).to_contain_text("Where are you?")
    boxes = [echoed.locator(f"#cmp-label-{side}").bounding_box() for side in "abcd"]
    places = [(box["x"], box["y"]) for box in boxes if box]
    assert places[0][0] == places[2][0] < places[1][0] == places[3][0]
    assert places[0][1] == places[1][1] < places[2][1] == places[3][1]
