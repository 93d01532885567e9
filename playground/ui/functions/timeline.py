"""A conversation with function calls as the Functions tab shows it: each call with its result and
its duration.

Pure functions from the conversation to the Chatbot's value.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import TypeAdapter

from playground.errors import PlaygroundError
from playground.protocol import AnswerBuilder, CallDelta, Message, ToolCall
from playground.protocol.json_types import parse_object
from playground.tools.loop import DENIED, unanswered
from playground.ui.components.messages import History, Turn, answer_turns, turn


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of a call. ``by_hand``: a person wrote its result."""

    running: bool = False
    seconds: float | None = None
    failed: bool = False
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The conversation, and the outcome of each call by its id. ``cut`` are the calls of a last
    answer that the token limit cut: they are shown, and are no part of the conversation.
    ``bylines`` say whose the assistant's messages are, in their order.
    """

    messages: tuple[Message, ...] = ()
    runs: Mapping[str, Run] = field(default_factory=dict)
    cut: tuple[CallDelta, ...] = ()
    bylines: tuple[str, ...] = ()

    def ran(self, call: ToolCall, run: Run) -> "Timeline":
        """Return the timeline with the outcome of this call."""
        return replace(self, runs={**self.runs, call.id: run})

    def by(self, byline: str) -> "Timeline":
        """Return the timeline in which messages that nobody is named for are of ``byline``."""
        count = sum(message.role == "assistant" for message in self.messages)
        named = self.bylines[:count]
        return replace(self, bylines=(*named, *[byline] * (count - len(named))))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """Return all calls, in order."""
        return tuple(call for message in self.messages for call in message.tool_calls)

    @property
    def results(self) -> dict[str, str]:
        """Return the results by the id of their call."""
        return {
            message.tool_call_id or "": message.content
            for message in self.messages
            if message.role == "tool"
        }

    def before_result(self, call_id: str) -> tuple[Message, ...]:
        """Return the conversation up to the results of the round that this call belongs to."""
        start = next(
            index
            for index, message in enumerate(self.messages)
            if any(call.id == call_id for call in message.tool_calls)
        )
        end = start + 1
        while end < len(self.messages) and self.messages[end].role == "tool":
            end += 1
        return self.messages[:end]


_STORED: Final = TypeAdapter(Timeline)


def to_chat(timeline: Timeline, writing: AnswerBuilder | None = None, byline: str = "") -> History:
    """Return the Chatbot's value; ``writing`` is the answer so far, which is of ``byline``."""
    results, waiting = timeline.results, {call.id for call in unanswered(timeline.messages)}
    history: History = []
    bylines = iter(timeline.bylines)
    for message in timeline.messages:
        if message.role == "user" and message.content:
            history.append(turn(message.role, message.content))
        elif message.role == "assistant":
            by = next(bylines, "")
            history += answer_turns(message.content, message.reasoning, byline=by)
        for call in message.tool_calls:
            run = timeline.runs.get(call.id, Run())
            waits = call.id in waiting and not run.running
            history.append(_call_turn(call, results.get(call.id), run, waits=waits))
    now = writing or AnswerBuilder()
    calling = now.call_names
    history += answer_turns(now.text, now.reasoning, byline=byline, running=not calling)
    for cut in timeline.cut:
        state = "stopped at max tokens, not run"
        history.append(_titled(cut.name, _fenced(_pretty(cut.arguments)), {"log": state}))
    history += [_titled(name, "", {"status": "pending"}) for name in calling]
    return history


def to_text(timeline: Timeline) -> str:
    """Return the timeline as the browser keeps it."""
    return _STORED.dump_json(timeline, exclude_defaults=True).decode() if timeline.messages else ""


def from_text(text: str) -> Timeline:
    """Return a timeline that the browser kept; an empty one for anything else."""
    try:
        return _STORED.validate_json(text)
    except (ValueError, PlaygroundError):
        return Timeline()


def call_label(call: ToolCall) -> str:
    """Return a call in Python's notation: ``get_weather(city="Paris")``."""
    arguments = parse_object(call.arguments)
    inner = ", ".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items()
    )
    return f"{call.name}({inner})"


def _call_turn(call: ToolCall, result: str | None, run: Run, *, waits: bool) -> Turn:
    parts = [_fenced(_pretty(call.arguments))]
    if result is not None:
        parts.append(_fenced(_pretty(result)))
    state = "waiting for you" if waits else ""
    if result is not None:
        state = "written by you" if run.by_hand else ""
        if run.failed:
            state = "denied" if result == DENIED else "failed"
    metadata: dict[str, object] = {"log": state} if state else {}
    if run.running:
        metadata["status"] = "pending"
    if run.seconds is not None and not run.by_hand and result != DENIED:
        metadata["duration"] = max(0.001, round(run.seconds, 3))
    return _titled(call.name, "\n\n".join(parts), metadata)


def _titled(title: str, text: str, metadata: Mapping[str, object]) -> Turn:
    titled = turn("assistant", text)
    titled["metadata"] = {"title": title, **metadata}
    return titled


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _fenced(text: str) -> str:
    """Return a code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}json\n{text}\n{fence}"
