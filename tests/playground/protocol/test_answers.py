"""Folding a stream: one way for every face."""

from collections.abc import AsyncGenerator

import pytest

from playground.protocol import (
    AnswerBuilder,
    CallDelta,
    Delta,
    Finished,
    FinishReason,
    StreamEvent,
    Timings,
    ToolCall,
    Usage,
    collect,
)

CALLS = (
    Delta("Let me look. "),
    Delta(calls=(CallDelta(0, "aaaaaaaaa", "get_weather"), CallDelta(0, arguments='{"ci'))),
    Delta(calls=(CallDelta(0, arguments='ty": "Rome"}'), CallDelta(1, "bbbbbbbbb", "get_tide"))),
    Delta(calls=(CallDelta(1, arguments='{"a'),)),
)


def finished(reason: FinishReason) -> Finished:
    return Finished(reason, Usage(3, 5), Timings(0.0, 0.1, 0.2))


async def stream(*events: StreamEvent) -> AsyncGenerator[StreamEvent, None]:
    for event in events:
        yield event


async def test_collect_joins_text_and_calls() -> None:
    last = Delta(calls=(CallDelta(1, arguments='": 1}'),))
    answer = await collect(stream(*CALLS, last, finished("tool_calls")))
    assert answer.text == "Let me look. "
    assert answer.calls == (
        ToolCall("aaaaaaaaa", "get_weather", '{"city": "Rome"}'),
        ToolCall("bbbbbbbbb", "get_tide", '{"a": 1}'),
    )
    assert (answer.finish_reason, answer.usage.total_tokens) == ("tool_calls", 8)


async def test_collect_drops_cut_call() -> None:
    answer = await collect(stream(*CALLS, finished("length")))
    assert [call.name for call in answer.calls] == ["get_weather"]


async def test_collect_needs_finished() -> None:
    with pytest.raises(AssertionError, match="without Finished"):
        await collect(stream(*CALLS))


def test_builder_shows_partial_answer() -> None:
    builder = AnswerBuilder()
    for event in CALLS:
        assert builder.add(event) is None
    assert builder.text == "Let me look. "
    assert builder.call_names == ("get_weather", "get_tide")
