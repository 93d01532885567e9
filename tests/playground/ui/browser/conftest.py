"""A real browser on the playground that runs in a second process."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from playground.backends.local import LocalBackend
from tests.playground.conftest import playground_process
from tests.playground.ui.browser.scripted import echo_page

# The shell is Chromium without the browser around it: it opens the page for two thirds of the work.
PROGRAMS = ("chromium-headless-shell", "chromium")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
WINDOW = ViewportSize(width=1440, height=900)
PATIENCE_MS = 60_000  # a busy machine is no failure
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Of this package: while it is open, no other test can have an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """Someone who was never here before, with a cache of their own."""
    context = browser.new_context(viewport=WINDOW, color_scheme="light")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@contextmanager
def opened_by(context: BrowserContext, url: str) -> Iterator[Page]:
    """A tab of the visitor's; fails if the page asks another host for anything."""
    page = context.new_page()
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda request: (
            elsewhere.append(request.url)
            if request.url.startswith("http") and not request.url.startswith(url)
            else None
        ),
    )
    page.goto(url)
    page.wait_for_selector("#message textarea:enabled")  # the stored values are restored
    yield page
    page.evaluate("localStorage.clear()")
    page.close()
    assert not elsewhere


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """The page, opened by a new visitor."""
    with visitor(browser) as context, opened_by(context, url) as page:
        yield page


@pytest.fixture(scope="package")
def regular(browser: Browser) -> Iterator[BrowserContext]:
    """Of `module_page`, whose cache the first module fills."""
    with visitor(browser) as context:
        yield context


@pytest.fixture(scope="package")
def forgetful(browser: Browser) -> Iterator[BrowserContext]:
    """Of `new_page`, which is forgotten after each test: only the cache stays."""
    with visitor(browser) as context:
        yield context


@pytest.fixture(scope="module")
def module_page(regular: BrowserContext, playground_url: str) -> Iterator[Page]:
    """Loaded once for the tests of a module."""
    with opened_by(regular, playground_url) as page:
        yield page


@pytest.fixture
def page(module_page: Page) -> Page:
    """The module's page, without another test's messages; tabs are left as they were."""
    module_page.set_viewport_size(WINDOW)
    for toast in module_page.locator(".toast-close").all():
        toast.click()
    return module_page


@pytest.fixture
def new_page(forgetful: BrowserContext, playground_url: str) -> Iterator[Page]:
    """Of one test that reloads it, or changes what is remembered."""
    with opened_by(forgetful, playground_url) as page:
        yield page


@pytest.fixture(scope="package")
def keyed_url(session_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A playground with the adapter that asks programs for the key sesame."""
    flags = ("--adapter", f"prices={session_adapter}", "--api-key", "sesame")
    with playground_process(tmp_path_factory.mktemp("keyed"), *flags) as url:
        yield url


@pytest.fixture
def keyed(forgetful: BrowserContext, keyed_url: str) -> Iterator[Page]:
    """It, opened in a new tab, with nothing remembered."""
    with opened_by(forgetful, keyed_url) as page:
        yield page


@pytest.fixture(scope="package")
def echo_url(backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page that answers a message with that message."""
    with echo_page(backend, tmp_path_factory.mktemp("echo")) as url:
        yield url


@pytest.fixture(scope="package")
def echo_visitor(browser: Browser) -> Iterator[BrowserContext]:
    """Whose cache is filled by the first test."""
    with visitor(browser) as context:
        yield context


@pytest.fixture
def echoed(echo_visitor: BrowserContext, echo_url: str) -> Iterator[Page]:
    """It, opened in a new tab, with nothing remembered."""
    with opened_by(echo_visitor, echo_url) as page:
        yield page


@pytest.fixture(scope="package")
def echo_tab(regular: BrowserContext, echo_url: str) -> Iterator[Page]:
    """It, opened once for all tests that do not get in each other's way; any tab may be shown."""
    with opened_by(regular, echo_url) as page:
        yield page


@pytest.fixture
def echo_chat(echo_tab: Page) -> Page:
    """It, with a new chat: to open the page takes longer than most tests."""
    echo_tab.get_by_role("tab", name="Chat", exact=True).click()
    echo_tab.click("#new-chat")
    expect(echo_tab.locator("#chat .message")).to_have_count(0)
    expect(echo_tab.locator("#status .note").filter(has_text="token")).to_have_count(0)
    return echo_tab
