"""The Compare tab as a person uses it."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def compare(echo_tab: Page) -> Page:
    """The tab, which goes on with the conversation of the test before."""
    echo_tab.get_by_role("tab", name="Compare", exact=True).click()
    return echo_tab


def test_the_question_stays_over_drawn_answers(compare: Page) -> None:
    question = "**bold** List<String>\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    compare.fill("#cmp-question textarea", question)
    compare.press("#cmp-question textarea", "Enter")
    expect(compare.locator("#cmp-vote")).to_be_visible()
    assert compare.locator("#cmp-asked").inner_text() == question
    for side in ("a", "b"):
        answer = compare.locator(f"#cmp-text-{side}")
        expect(answer.locator("strong")).to_have_text("bold")
        expect(answer).to_contain_text("List<String>")
        expect(answer.locator("td").first).to_have_text("1")


def test_a_seed_stays_random_when_settings_open(compare: Page) -> None:
    compare.get_by_role("button", name="Prompt and settings").first.click()
    expect(compare.locator("#cmp-seed-1 :is(input, textarea)")).to_have_value("")


def test_four_lanes_stand_two_by_two(compare: Page) -> None:
    compare.locator("#cmp-count label").filter(has_text="4").click()
    expect(compare.get_by_role("combobox", name="Lane 4")).to_be_visible()
    expect(compare.locator("#cmp-label-d")).to_be_visible()
    compare.fill("#cmp-question textarea", "Where are you?")
    compare.press("#cmp-question textarea", "Enter")
    expect(compare.locator("#cmp-text-d")).to_contain_text("Where are you?")
    boxes = [compare.locator(f"#cmp-label-{side}").bounding_box() for side in "abcd"]
    places = [(box["x"], box["y"]) for box in boxes if box]
    assert places[0][0] == places[2][0] < places[1][0] == places[3][0]
    assert places[0][1] == places[1][1] < places[2][1] == places[3][1]
