"""Findings of axe-core on every tab of a running playground, with content, in both themes, with
screenshots.

    npm pack axe-core && tar xzf axe-core-*.tgz
    python -m benchmarks.accessibility http://127.0.0.1:7860 package/axe.min.js --shots shots

Needs Playwright and Chromium. axe-core is no package of Python, so this is no test.
"""

import argparse
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from playwright.sync_api import Page, ViewportSize, sync_playwright

WINDOWS = (ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844))


def ask(page: Page, composer: str) -> None:
    """Send a message, and wait for the answers to end."""
    box = page.locator(f"{composer} textarea")
    box.fill("Write a Python function that greets a person.")
    box.press("Enter")
    page.wait_for_timeout(SETTLE_MS)
    page.locator(f"{composer} .stop-button, #cmp-stop").wait_for(state="hidden")


def use_sample(page: Page) -> None:
    """Check the sample dataset."""
    page.get_by_role("button", name="Use the sample dataset").click()
    page.locator("#ft-preview .trained").first.wait_for()


CONTENT: Final[Mapping[str, Callable[[Page], None]]] = MappingProxyType(
    {
        "chat": lambda page: ask(page, "#message"),
        "functions": lambda page: page.locator("#fn-chat .example").first.click(),
        "json": lambda page: page.locator("#json-extract").click(),
        "prompts": lambda page: page.locator("#pr-user textarea").fill("About {{ topic }}"),
        "compare": lambda page: ask(page, "#cmp-question"),
        "evaluate": lambda page: page.locator("#ev-rows textarea").fill("input\nHello"),
        "finetune": use_sample,
    }
)
"""What is done on each tab before it is looked at."""
SETTLE_MS = 1500
RUN = "() => axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"


def findings(page: Page) -> Counter[tuple[str, str]]:
    """Return the number of elements by impact and rule."""
    counts: Counter[tuple[str, str]] = Counter()
    for violation in page.evaluate(RUN):
        counts[violation["impact"], violation["id"]] += len(violation["nodes"])
    return counts


def main() -> None:
    """Print one JSON line for each tab, theme and window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("axe", type=Path)
    parser.add_argument("--shots", type=Path)
    chosen = parser.parse_args()
    source = chosen.axe.read_text(encoding="utf-8")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for window in WINDOWS:
            for theme in ("light", "dark"):
                page = browser.new_page(viewport=window, color_scheme=theme)
                page.set_default_timeout(120_000)
                page.goto(chosen.url)
                page.wait_for_selector("#message textarea:enabled")
                page.evaluate(source)
                for tab, fill in CONTENT.items():
                    page.set_viewport_size(WINDOWS[0])  # where all tabs are seen
                    page.locator(f"[data-tab-id={tab}][role=tab]").click()
                    page.wait_for_selector(f"html[data-tab={tab}]")
                    fill(page)
                    page.set_viewport_size(window)
                    page.wait_for_timeout(SETTLE_MS)
                    if chosen.shots:
                        chosen.shots.mkdir(parents=True, exist_ok=True)
                        page.screenshot(path=chosen.shots / f"{tab}-{window['width']}-{theme}.png")
                    found = {f"{impact} {rule}": n for (impact, rule), n in findings(page).items()}
                    print(json.dumps([tab, window["width"], theme, found]), flush=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
