"""Findings of axe-core on every tab of a running playground, in both themes, with screenshots.

    npm pack axe-core && tar xzf axe-core-*.tgz
    python -m benchmarks.accessibility http://127.0.0.1:7860 package/axe.min.js --shots shots

Needs Playwright and Chromium. axe-core is no package of Python, so this is no test.
"""

import argparse
import json
import os
import shutil
from collections import Counter
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

TABS = ("chat", "functions", "json", "compare", "finetune")
WINDOWS = (ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844))
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
                for tab in TABS:
                    page.evaluate(
                        "id => document.querySelector(`[data-tab-id=${id}][role=tab]`).click()", tab
                    )
                    page.wait_for_selector(f"html[data-tab={tab}]")
                    page.wait_for_load_state("networkidle")
                    if chosen.shots:
                        chosen.shots.mkdir(parents=True, exist_ok=True)
                        page.screenshot(path=chosen.shots / f"{tab}-{window['width']}-{theme}.png")
                    found = {f"{impact} {rule}": n for (impact, rule), n in findings(page).items()}
                    print(json.dumps([tab, window["width"], theme, found]), flush=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
