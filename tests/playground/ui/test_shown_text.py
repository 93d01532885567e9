"""Texts on their way to the page, and back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playground.ui.components.shown_text import FORMULA, PLANE, as_markdown, as_typed, spoken

ANY_TEXT = st.text(st.characters(max_codepoint=PLANE - 1), max_size=80)
MARKED = st.text(st.sampled_from("a <>&!`$~\\[]()\n*x1"), max_size=60)


@given(ANY_TEXT | MARKED)
@example("\x02not a byline\x03")
def test_shown_text_comes_back_whole(text: str) -> None:
    assert spoken(as_markdown(text, "a model")) == text
    assert spoken(as_typed(text)) == text


@given(MARKED)
def test_typed_text_has_no_markup(text: str) -> None:
    assert not set("<>&!`$~\\[]()*\n ") & set(as_typed(text))


@pytest.mark.parametrize("text", ["List<String>", "a & b", "![x](https://a.example/p)", "`<b>`"])
def test_markup_outside_fences_is_replaced(text: str) -> None:
    assert not {"<", "&"} & set(as_markdown(text))
    assert "![" not in as_markdown(text)


def test_fenced_code_stays_as_it_is() -> None:
    text = "```html\n<b>$a$ & ![x](y)</b>\n```\n"
    assert as_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("it costs $5 and $6", 0),
        ("$a^2$ and $b$", 2),
        ("`$a$`", 0),
        ("$$\nx\n$$", 1),
        (r"\(x\) and \[y\]", 2),
    ],
)
def test_formulas_are_told_from_prices(text: str, formulas: int) -> None:
    shown = as_markdown(text)
    signs = sum(shown.count(chr(FORMULA + ord(sign))) for sign in "$()[]")
    assert signs == formulas * 2 + (2 if "$$" in text else 0)
