"""A browser and a client of the API behind nginx and Caddy, with TLS and beneath a path; a link to
a demo, in a frame on pages of other sites.
"""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import openai
import pytest
from playwright.sync_api import Browser, Page, expect

from playground.access.links import token_of
from tests.playground.ui.browser.conftest import PATIENCE_MS, WINDOW
from tests.playground.ui.browser.with_accounts import PASSWORD, ServerWithAccounts
from tests.proxies import NEEDS_PROXIES, PROXIES, ROOT_PATH, Proxy

pytestmark = [pytest.mark.browser, NEEDS_PROXIES]


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """Somebody new; fails if the page asks anything that is not beneath ``url``."""
    context = browser.new_context(viewport=WINDOW, ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    page, elsewhere = context.new_page(), list[str]()
    page.on("request", lambda request: elsewhere.append(request.url))
    yield page
    context.close()
    assert not [each for each in elsewhere if not each.startswith((url, "data:", "blob:"))]


@pytest.mark.parametrize("name", PROXIES)
def test_page_and_api_beneath_a_path(
    with_accounts: ServerWithAccounts, browser: Browser, name: str
) -> None:
    with PROXIES[name](with_accounts.upstream) as proxy:
        with opened(browser, proxy.url) as page:
            sign_in_and_chat(page, proxy)
        trusting = ssl.create_default_context(cafile=str(proxy.authority))
        with (
            httpx.Client(verify=trusting) as http,
            openai.OpenAI(
                base_url=f"{proxy.url}/v1", api_key=with_accounts.key,
                http_client=openai.DefaultHttpxClient(verify=trusting),
            ) as client,
        ):  # fmt: skip
            stream = client.chat.completions.create(
                model="embedded", stream=True, temperature=0,
                messages=[{"role": "user", "content": "What is the capital of Japan?"}],
            )  # fmt: skip
            pieces = [part.choices[0].delta.content or "" for part in stream if part.choices]
            assert len(pieces) > 2
            assert "Tokyo" in "".join(pieces)
            announced = http.post(
                f"{proxy.url}/v1/files", data={"purpose": "fine-tune", "file_name": "rows.jsonl"},
                headers={"Authorization": f"Bearer {with_accounts.key}"},
            )  # fmt: skip
            assert announced.headers["location"].startswith(f"{proxy.url}/v1/files/")


def sign_in_and_chat(page: Page, proxy: Proxy) -> None:
    page.goto(f"{proxy.url}/login")
    page.fill("[name=name]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.click("button")
    page.wait_for_selector("#message textarea:enabled")
    assert page.url == f"{proxy.url}/"
    assert {each["path"] for each in page.context.cookies()} == {ROOT_PATH}
    page.fill("#message textarea", "What is the capital of Japan?")
    page.click("#message button")
    expect(page.locator("#chat .bot .prose").last).to_contain_text("Tokyo")
    page.get_by_role("button", name="View code").first.click()
    expect(page.get_by_text(f"{proxy.url}/v1").first).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{proxy.url}/login/out")


def test_other_sites_frame_a_link(with_accounts: ServerWithAccounts, browser: Browser) -> None:
    link = with_accounts.links.create(["embedded"], system_prompt="Be kind.", answers=1)
    with PROXIES["caddy"](with_accounts.upstream) as proxy:
        address = f"{proxy.url}/d/{token_of(link)}/"
        with_accounts.framed.append(address)
        context = browser.new_context(viewport=WINDOW, ignore_https_errors=True)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(with_accounts.allowed)
        inside = page.frame_locator("iframe")
        expect(inside.locator("#tabs [role=tab]:visible")).to_have_text(["Chat"])
        expect(inside.locator("#system")).to_be_hidden()
        expect(inside.get_by_role("link", name="Sign in")).to_have_count(0)
        inside.locator("#message textarea:enabled").fill("What is the capital of Japan?")
        inside.locator("#message button").click()
        expect(inside.locator("#chat .bot .prose").last).to_contain_text("Tokyo")
        (cookie,) = context.cookies(address)
        assert (cookie["sameSite"], cookie["secure"], cookie["path"]) == ("None", True, ROOT_PATH)
        inside.locator("#message textarea:enabled").fill("And of France?")
        inside.locator("#message button").click()
        expect(inside.locator(".toast-body.error")).to_contain_text("used up")
        with_accounts.links.revoke(link.id)
        inside.locator("#message textarea:enabled").fill("And of Italy?")
        inside.locator("#message button").click()
        expect(inside.locator(".notice")).to_contain_text("This link was revoked.")
        page.reload()
        expect(inside.locator("[role=alert]")).to_have_text("This link was revoked.")
        page.goto(with_accounts.foreign)
        page.wait_for_load_state("networkidle")
        assert page.frames[1].url.startswith("chrome-error:")
        context.close()


class OneByOne(BaseHTTPRequestHandler):
    """Sends an event, and the next one once somebody has the first; takes what is sent to it."""

    has_first = threading.Event()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: 1\n\n")
        self.has_first.wait(60)
        self.wfile.write(b"data: 2\n\n")

    def do_POST(self) -> None:
        left = size = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 2**20)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(str(size))))
        self.end_headers()
        self.wfile.write(str(size).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("name", PROXIES)
def test_proxies_keep_nothing_back(name: str, tmp_path: Path) -> None:
    size = 100 * 2**20
    OneByOne.has_first.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), OneByOne) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with PROXIES[name](f"127.0.0.1:{server.server_port}") as proxy:
            trusting = ssl.create_default_context(cafile=str(proxy.authority))
            with httpx.Client(verify=trusting, timeout=60) as http:
                with http.stream("GET", f"{proxy.url}/stream") as answer:
                    lines = answer.iter_lines()
                    assert next(lines) == "data: 1"
                    OneByOne.has_first.set()
                    assert "data: 2" in list(lines)
                sent = http.post(f"{proxy.url}/upload", content=bytes(size))
                assert (sent.status_code, sent.text) == (200, str(size))
        server.shutdown()
