"""Runs the scenarios of one client and prints an outcome a line, as JSON.

Runs in the clients' environments: knows the standard library only, and nothing of the server but
its address.
"""

import asyncio
import inspect
import json
import logging
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final

Scenario = Callable[[], object]
MARK: Final = "outcome: "
HERE: Final = Path(__file__).parent


class Client:
    """One client's scenarios, by name.

    `package` is the distribution whose version is shown; `name` is what the table calls the client.
    """

    def __init__(self, name: str, package: str | None = None) -> None:
        self.name = name
        self.version = metadata.version(package or name)
        self._scenarios: dict[str, tuple[Scenario, str]] = {}

    def scenario(self, name: str, fault: str = "") -> Callable[[Scenario], Scenario]:
        """Register a scenario, which passes if it raises nothing.

        `fault` is why the client itself cannot do it; then it has to fail, so that a reason that no
        longer holds is noticed.
        """

        def register(function: Scenario) -> Scenario:
            if name in self._scenarios:
                raise ValueError(f"{self.name}: {name!r} is there twice")
            self._scenarios[name] = (function, fault)
            return function

        return register

    def run(self) -> None:
        """Run what the command line names, or all, and print the outcomes."""
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        wanted = sys.argv[2:]
        for name, (function, fault) in self._scenarios.items():
            if wanted and name not in wanted:
                continue
            began = time.monotonic()
            error = _error_of(function)
            outcome = {
                "client": self.name,
                "version": self.version,
                "scenario": name,
                "passed": not error,
                "fault": fault,
                "error": error,
                "seconds": round(time.monotonic() - began, 2),
            }
            print(MARK + json.dumps(outcome), flush=True)


def _error_of(function: Scenario) -> str:
    """Return what a scenario raised, with the last line of its own code; empty if nothing."""
    try:
        result = function()
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))
    except Exception as error:  # noqa: BLE001, an outcome, whatever it is
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).parent == HERE and frame.line]
        where = f"{own[-1].lineno}: {own[-1].line}" if own else ""
        return f"{type(error).__name__}: {str(error)[:400]} [{where}]"
    return ""


async def _awaited(result: object) -> None:
    assert inspect.isawaitable(result)
    await result


def base_url() -> str:
    """The server's address, without a path: the first argument."""
    return sys.argv[1]


def raises(expected: type[Exception], call: Scenario, *words: str) -> None:
    """Check that a call fails with that error, whose text and code have all the words."""
    try:
        call()
    except expected as error:
        shown = f"{getattr(error, 'code', '')}: {error}"
        missing = [word for word in words if word not in shown]
        if missing:
            raise AssertionError(f"{missing} not in {shown}") from error
        return
    raise AssertionError(f"no {expected.__name__}")
