"""A tool that can be run, and the set of them that a server offers.

A failing tool is no failing request: what went wrong is the call's result, for the model to read.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playground.errors import InvalidSettings, ToolFailed
from playground.protocol import Tool, ToolCall
from playground.tracing import Attributes, part

log = logging.getLogger(__name__)

TIME_LIMIT_S = 20.0
LONGEST_RESULT = 20_000
"""Characters of a result; what is longer is cut, and says so."""


@dataclass(frozen=True, slots=True)
class RunnableTool:
    """A tool and the function behind it, which takes the arguments and returns the result's text.

    ``run`` raises `ToolFailed` with what the model is to read. After ``time_limit_s`` seconds
    nobody waits for it any more. ``source`` says where it comes from, for people.
    """

    tool: Tool
    run: Callable[[Mapping[str, Any]], Awaitable[str]]
    source: str
    time_limit_s: float = TIME_LIMIT_S


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call: ``text`` for the model, the time it took, whether it failed."""

    text: str
    seconds: float
    failed: bool = False


class Toolbox:
    """Runnable tools by name. Raises `InvalidSettings` if two have the same."""

    def __init__(self, tools: Sequence[RunnableTool] = ()) -> None:
        self._tools: dict[str, RunnableTool] = {}
        for runnable in tools:
            known = self._tools.get(runnable.tool.name)
            if known:
                raise InvalidSettings(
                    f"two tools are called {runnable.tool.name!r}: one from {known.source}, one "
                    f"from {runnable.source}"
                )
            self._tools[runnable.tool.name] = runnable

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[RunnableTool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    async def run(self, call: ToolCall) -> ToolResult:
        """Run one call. Never raises: what goes wrong is the result."""
        began = time.monotonic()
        try:
            with part(f"execute_tool {call.name}", _about(call)):
                text, failed = await self._run(call), False
        except ToolFailed as error:
            text, failed = _error(error.message), True
        except Exception:
            # A tool is foreign code: whatever it raises fails this call only, and its details
            # (paths, secrets) are for the log, not for the model.
            log.exception("the tool %s failed", call.name)
            text, failed = _error(f"{call.name} failed unexpectedly"), True
        if len(text) > LONGEST_RESULT:
            text = f"{text[:LONGEST_RESULT]} … (cut: {len(text):,} characters)"
        return ToolResult(text, time.monotonic() - began, failed)

    async def _run(self, call: ToolCall) -> str:
        runnable = self._tools.get(call.name)
        if runnable is None:
            raise ToolFailed(f"there is no tool {call.name!r} that runs here")
        try:
            async with asyncio.timeout(runnable.time_limit_s):
                return await runnable.run(json.loads(call.arguments))
        except TimeoutError as error:
            raise ToolFailed(
                f"{call.name} gave no result within {runnable.time_limit_s:g} seconds"
            ) from error


def _about(call: ToolCall) -> Attributes:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.call.id": call.id,
        "gen_ai.tool.type": "function",
    }


def _error(problem: str) -> str:
    return json.dumps({"error": problem}, ensure_ascii=False)
