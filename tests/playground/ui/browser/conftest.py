"""A real browser on the playground that runs in a second process."""

import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from playground.backends.local import LocalBackend
from tests.playground.conftest import killable_playground
from tests.playground.ui.browser.scripted import EchoPage, HoldingBackend, echo_page
from tests.playground.ui.browser.with_accounts import ServerWithAccounts, server_with_accounts
from tests.processes import RunningProcess

# The shell is Chromium without the browser around it: it opens the page for two thirds of the work.
PROGRAMS = ("chromium-headless-shell", "chromium")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
WINDOW = ViewportSize(width=1440, height=900)
PATIENCE_MS = 60_000  # a busy machine is no failure
SHOWN, SHOWN_MS = 1500, 5000
"""Of a page whose test failed: characters, and how long it may take to say them."""
CLOSE_MESSAGES = """() => document.querySelectorAll(".toast-close, .notice button")
    .forEach(button => button.click())"""
expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a test that failed what its pages showed."""
    report = yield
    if report.failed and isinstance(browser := item.funcargs.get("browser"), Browser):
        for page in [page for context in browser.contexts for page in context.pages]:
            with suppress(Error):
                shown = page.inner_text("body", timeout=SHOWN_MS)[:SHOWN]
                report.sections.append((f"shown at {page.url}", shown))
    return report


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
def opened_by(
    context: BrowserContext, url: str, path: str = "", before: str = ""
) -> Iterator[Page]:
    """A tab of the visitor's, at ``path``; fails if the page asks another host for anything. The
    script ``before`` runs before those of the page."""
    page = context.new_page()
    page.add_init_script(before)
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda request: (
            elsewhere.append(request.url)
            if request.url.startswith("http") and not request.url.startswith(url)
            else None
        ),
    )
    page.goto(f"{url}{path}")
    restored(page)
    yield page
    page.evaluate("localStorage.clear()")
    page.close()
    assert not elsewhere


def restored(page: Page) -> None:
    """Wait until the page shows what the browser kept."""
    page.wait_for_selector("#message textarea:enabled", state="attached")


def reload(page: Page) -> None:
    page.reload()
    restored(page)


def as_at_first(page: Page) -> None:
    """Take away another test's messages, and its window; tabs are left as they were."""
    page.set_viewport_size(WINDOW)
    page.evaluate(CLOSE_MESSAGES)
    expect(page.locator(".toast-body, .notice")).to_have_count(0)


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """The page, opened by a new visitor."""
    with visitor(browser) as context, opened_by(context, url) as page:
        yield page


@pytest.fixture(scope="package")
def regular(browser: Browser) -> Iterator[BrowserContext]:
    """Of the pages that tests share, whose cache the first one fills: to open a page takes longer
    than most tests."""
    with visitor(browser) as context:
        yield context


@pytest.fixture(scope="package")
def shared_page(regular: BrowserContext, playground_url: str) -> Iterator[Page]:
    """Opened once for all tests that leave each other's tabs alone."""
    with opened_by(regular, playground_url) as page:
        yield page


@pytest.fixture
def page(shared_page: Page) -> Page:
    """It, without another test's messages."""
    as_at_first(shared_page)
    return shared_page


@pytest.fixture
def new_page(regular: BrowserContext, playground_url: str) -> Iterator[Page]:
    """Of one test that needs its forms as they are at first."""
    with opened_by(regular, playground_url) as page:
        yield page


class Restartable:
    """A playground that can be killed, and comes back where it was."""

    def __init__(self, home: Path, flags: Sequence[str], stack: ExitStack) -> None:
        self._home, self._flags, self._stack = home, flags, stack
        self.url, self._process = self._started(port=0)

    def _started(self, port: int) -> tuple[str, RunningProcess]:
        running = killable_playground(self._home, *self._flags, port=port)
        return self._stack.enter_context(running)

    def kill(self) -> None:
        """Let it end without warning."""
        self._process.kill()

    def start(self) -> None:
        """Start it again."""
        _, self._process = self._started(port=int(self.url.rpartition(":")[2]))


@pytest.fixture(scope="package")
def keyed_server(
    session_adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Restartable]:
    """A playground with the adapter that asks programs for the key sesame."""
    flags = ("--adapter", f"prices={session_adapter}", "--api-key", "sesame")
    with ExitStack() as stack:
        yield Restartable(tmp_path_factory.mktemp("keyed"), flags, stack)


@pytest.fixture(scope="package")
def keyed_tab(regular: BrowserContext, keyed_server: Restartable) -> Iterator[Page]:
    """It, opened once."""
    with opened_by(regular, keyed_server.url) as page:
        yield page


@pytest.fixture
def keyed(keyed_tab: Page) -> Page:
    """It, with a new chat."""
    as_at_first(keyed_tab)
    return with_a_new_chat(keyed_tab)


@pytest.fixture(scope="package")
def with_accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerWithAccounts]:
    """A server on which people sign in, and guests do not have to."""
    with server_with_accounts(tmp_path_factory.mktemp("accounts")) as server:
        yield server


@pytest.fixture(scope="package")
def echo(backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EchoPage]:
    """A page that answers a message with that message."""
    with echo_page(backend, tmp_path_factory.mktemp("echo")) as served:
        yield served


@pytest.fixture(scope="package")
def echo_url(echo: EchoPage) -> str:
    """Where it is."""
    return echo.url


@pytest.fixture
def holding(echo: EchoPage) -> Iterator[HoldingBackend]:
    """What holds its answers to messages with a mark; none any more when the test ends."""
    echo.backend.holds = True
    yield echo.backend
    echo.backend.holds = False


@pytest.fixture(scope="package")
def opened_echo(regular: BrowserContext, echo_url: str) -> Iterator[Page]:
    """It, opened once for all tests that do not get in each other's way."""
    with opened_by(regular, echo_url) as page:
        yield page


@pytest.fixture
def echo_tab(opened_echo: Page) -> Page:
    """It, without another test's messages; any tab may be shown."""
    as_at_first(opened_echo)
    return opened_echo


@pytest.fixture
def echo_chat(echo_tab: Page) -> Page:
    """It, with a new chat."""
    return with_a_new_chat(echo_tab)


def with_a_new_chat(page: Page) -> Page:
    """Begin one where there is one to leave: nothing would show that an empty chat is new."""
    page.get_by_role("tab", name="Chat", exact=True).click()
    messages = page.locator("#chat .message")
    speed = page.locator("#status .note").filter(has_text="token")
    if messages.count() or speed.count():
        page.click("#new-chat")
    expect(messages).to_have_count(0)
    expect(speed).to_have_count(0)
    return page
