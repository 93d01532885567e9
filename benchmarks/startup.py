"""Seconds from the command to the page, and what a first and a second visit to it transfer.

`python -m benchmarks.startup` starts `playground` in a process of its own, with a home of its own,
several times. Bytes are as Chromium counts them on the wire, headers included. Knows nothing of
how the server starts: it only watches the port.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from playwright.sync_api import Browser, BrowserContext, sync_playwright

COMMAND = (sys.executable, "-c", "from playground.cli import main; main()")
HELP = (("--help",), ("chat", "--help"), ("plan", "--help"), ("plan",), ("chat", "hello"))
TEXTBOX = "textarea:visible"
PAGE_MARK = b"gradio_config"
"""In the HTML of the page itself; the page that waits for the model is without it."""
POLL_S, TIMEOUT_S = 0.02, 120.0


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds since the command; CPU seconds of the process once the page came, and at the end."""

    answers: float
    page: float
    healthy: float
    page_cpu: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Visit:
    """What one load of the page took until its textbox could be typed into."""

    requests: int
    kilobytes: float
    usable_ms: float


@contextmanager
def served() -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """Start the server; yields its address, its process and when the command was given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        command = (*COMMAND, "--home", home, "--port", str(port))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                yield f"http://127.0.0.1:{port}", server, began
            finally:
                server.terminate()


def fetch(url: str) -> tuple[int, bytes]:
    """Status and body; status 0 where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a process so far, all its threads."""
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


def measure_start() -> Start:
    """Start the server once and watch it until the model is loaded."""
    seen: dict[str, float] = {}
    with served() as (url, server, began):
        while {"answers", "page", "healthy"} - seen.keys():
            if server.poll() is not None or time.monotonic() - began > TIMEOUT_S:
                raise RuntimeError("the server did not start")
            health, _ = fetch(f"{url}/health")
            page = fetch(url)[1] if health and "page" not in seen else b""
            now = time.monotonic() - began
            for name, holds in (
                ("answers", health > 0),
                ("page", PAGE_MARK in page),
                ("healthy", health == 200),
            ):
                if holds:
                    seen.setdefault(name, now)
            if "page" in seen:
                seen.setdefault("page_cpu", cpu_seconds(server))
            time.sleep(POLL_S)
        seen["cpu"] = cpu_seconds(server)
    return Start(**seen)


def measure_visit(context: BrowserContext, url: str) -> Visit:
    """Load the page in a new tab, until its textbox is there and the network is quiet."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    counted = {"requests": 0, "bytes": 0}
    cached: set[str] = set()

    def sent(_event: object) -> None:
        counted["requests"] += 1

    def from_memory(event: dict[str, str]) -> None:
        cached.add(event["requestId"])

    def received(event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache"):
            cached.add(event["requestId"])

    def finished(event: dict[str, float]) -> None:
        counted["bytes"] += int(event["encodedDataLength"])

    session.on("Network.requestWillBeSent", sent)
    session.on("Network.requestServedFromCache", from_memory)
    session.on("Network.responseReceived", received)
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    began = time.monotonic()
    page.goto(url, wait_until="commit")
    page.locator(TEXTBOX).first.wait_for(timeout=1000 * TIMEOUT_S)
    usable_ms = 1000 * (time.monotonic() - began)
    page.wait_for_timeout(2000)
    page.close()
    return Visit(counted["requests"] - len(cached), counted["bytes"] / 1000, usable_ms)


def measure_visits(browser: Browser, url: str) -> tuple[Visit, Visit]:
    """Visit as somebody new, and once more."""
    context = browser.new_context()
    try:
        return measure_visit(context, url), measure_visit(context, url)
    finally:
        context.close()


def measure_command(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and CPU seconds of a command to its end."""
    before, began = os.times(), time.monotonic()
    subprocess.run((*COMMAND, *arguments), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system
    return time.monotonic() - began, cpu - before.children_user - before.children_system


def print_visits(rounds: int) -> None:
    """Print what visits take, of a server that has loaded its model."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with served() as (url, _, _), sync_playwright() as playwright:
        while fetch(f"{url}/health")[0] != 200:
            time.sleep(POLL_S)
        fetch(url)
        browser = playwright.chromium.launch(executable_path=chromium)
        visits = [measure_visits(browser, url) for _ in range(rounds)]
        browser.close()
    for name, several in zip(("first", "second"), zip(*visits, strict=True), strict=True):
        print(
            f"{name} visit: {statistics.median(v.requests for v in several):.0f} requests,"
            f" {statistics.median(v.kilobytes for v in several):.0f} kB,"
            f" usable after {statistics.median(v.usable_ms for v in several):.0f} ms"
        )


def main() -> None:
    """Print medians of several starts, of the commands, and of visits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("start", "commands", "visits"))
    chosen = parser.parse_args()
    if chosen.only in (None, "start"):
        starts = [measure_start() for _ in range(chosen.rounds)]
        for field in Start.__slots__:
            figures = [getattr(start, field) for start in starts]
            print(f"{field}: {statistics.median(figures):.2f} s  {json.dumps(figures)}")
    if chosen.only in (None, "commands"):
        for arguments in HELP:
            taken = [measure_command(arguments) for _ in range(chosen.rounds)]
            wall, cpu = (statistics.median(values) for values in zip(*taken, strict=True))
            print(f"playground {' '.join(arguments)}: {wall:.2f} s, {cpu:.2f} s of CPU")
    if chosen.only in (None, "visits"):
        print_visits(chosen.rounds)


if __name__ == "__main__":
    main()
