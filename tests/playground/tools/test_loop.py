"""The loop: call → approve → run → result → answer, on the embedded model."""

import json
from dataclasses import replace

import pytest

from playground.backends.local import LocalBackend
from playground.protocol import Finished, Message, Request, Sampling, Tool, ToolCall, ToolChoice
from playground.tools import Toolbox, built_in_tools
from playground.tools.loop import Permissions, Step, run_tools, unanswered, with_results

WEATHER = next(each for each in built_in_tools() if each.tool.name == "get_weather")
ALLOWED = Permissions({"get_weather": "allow"})


def request(text: str = "What is the weather in Paris?", *tools: Tool) -> Request:
    given = tools or (WEATHER.tool,)
    return Request(
        "embedded", (Message("user", text),), tools=given, sampling=Sampling(temperature=0)
    )


async def steps_of(
    backend: LocalBackend,
    asked: Request,
    permissions: Permissions,
    toolbox: Toolbox | None = None,
    **options: object,
) -> list[Step]:
    box = Toolbox([WEATHER]) if toolbox is None else toolbox
    return [step async for step in run_tools(backend, asked, box, permissions, **options)]  # type: ignore[arg-type]


@pytest.mark.slow
async def test_an_allowed_call_runs_and_its_result_is_answered_from(backend: LocalBackend) -> None:
    steps = await steps_of(backend, request(), ALLOWED)
    user, call, result, answer = steps[-1].messages
    assert [each.role for each in (user, call, result, answer)] == [
        "user", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert json.loads(call.tool_calls[0].arguments) == {"city": "Paris"}
    assert json.loads(result.content)["celsius"] == 19
    assert "19" in answer.content
    (ran,) = [step.result for step in steps if step.result]
    assert ran.seconds > 0


@pytest.mark.slow
async def test_where_the_answer_is_to_be_the_same_the_calls_ids_are(backend: LocalBackend) -> None:
    """They stand in the next prompt: with other ids a greedy answer would be another one."""
    runs = [(await steps_of(backend, request(), ALLOWED))[-1].messages for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    free = Request(
        "embedded", request().messages, tools=(WEATHER.tool,), sampling=Sampling(temperature=0.1)
    )
    ids = {(await steps_of(backend, free, Permissions()))[-1].waiting[0].id for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.slow
async def test_a_call_waits_until_somebody_decides(backend: LocalBackend) -> None:
    steps = await steps_of(backend, request(), Permissions())
    (waiting,) = steps[-1].waiting
    assert waiting.name == "get_weather"
    assert not [step for step in steps if step.result]
    went_on = Request(
        "embedded", steps[-1].messages, tools=(WEATHER.tool,), sampling=Sampling(temperature=0)
    )
    approved = await steps_of(backend, went_on, Permissions(approved=(waiting.id,)))
    assert "19" in approved[-1].messages[-1].content


async def test_a_denied_call_never_runs_and_the_model_is_told(backend: LocalBackend) -> None:
    steps = await steps_of(backend, request(), Permissions({"get_weather": "never"}))
    result = steps[-1].messages[2]
    assert (result.role, json.loads(result.content)) == (
        "tool", {"error": "the user did not allow this call"},
    )  # fmt: skip
    assert steps[-1].messages[-1].role == "assistant"


async def test_a_result_written_by_hand_is_answered_from(backend: LocalBackend) -> None:
    waiting = (await steps_of(backend, request(), Permissions()))[-1]
    given = with_results(waiting.messages, {waiting.waiting[0].id: '{"sky": "green"}'})
    went_on = Request("embedded", given, tools=(WEATHER.tool,), sampling=Sampling(temperature=0))
    steps = await steps_of(backend, went_on, Permissions())
    assert "green" in steps[-1].messages[-1].content


@pytest.mark.slow
async def test_a_tool_that_fails_is_a_result_for_the_model(backend: LocalBackend) -> None:
    steps = await steps_of(backend, request("What is the weather in Atlantis?"), ALLOWED)
    (ran,) = [step.result for step in steps if step.result]
    assert ran.failed
    assert "no demo data" in steps[-1].messages[2].content
    assert steps[-1].messages[-1].role == "assistant"


@pytest.mark.slow
async def test_two_calls_run_side_by_side_and_their_results_keep_the_order_of_the_calls(
    backend: LocalBackend,
) -> None:
    asked = request("Get the weather in Rome and the weather in Tokyo.")
    steps = await steps_of(backend, asked, ALLOWED)
    _, calls, first, second, _ = steps[-1].messages
    assert [call.id for call in calls.tool_calls] == [first.tool_call_id, second.tool_call_id]
    assert [json.loads(each.content)["city"] for each in (first, second)] == ["Rome", "Tokyo"]
    begun = [step.call for step in steps if step.call and step.result is None]
    assert len(begun) == 2


@pytest.mark.slow
async def test_rounds_have_an_end(backend: LocalBackend) -> None:
    """A conversation whose every answer would be a call ends with one that is none."""
    called = (await steps_of(backend, request(), Permissions()))[-1].messages
    went_on = Request("embedded", called, tools=(WEATHER.tool,), sampling=Sampling(temperature=0))
    steps = await steps_of(backend, went_on, ALLOWED, max_rounds=0)
    assert not steps[-1].messages[-1].tool_calls
    assert not unanswered(steps[-1].messages)


@pytest.mark.slow
async def test_a_forced_choice_holds_for_the_first_answer_only(backend: LocalBackend) -> None:
    asked = replace(request(), tool_choice=ToolChoice("required"))
    steps = await steps_of(backend, asked, ALLOWED)
    assert steps[1].messages == asked.messages
    assert steps[-1].messages[-1].content


def test_results_replace_those_that_were_there() -> None:
    calls = tuple(ToolCall(each * 9, "f", "{}") for each in "ab")
    messages = (Message("user", "x"), Message("assistant", "", calls))
    assert unanswered(messages) == calls
    one = with_results(messages, {"bbbbbbbbb": "2"})
    assert unanswered(one) == calls[:1]
    both = with_results(one, {"aaaaaaaaa": "1", "bbbbbbbbb": "3"})
    assert [message.content for message in both[2:]] == ["1", "3"]
    assert unanswered(both) == ()


async def test_a_tool_that_runs_nowhere_waits_for_a_result(backend: LocalBackend) -> None:
    steps = await steps_of(backend, request(), ALLOWED, Toolbox())
    assert [call.name for call in steps[-1].waiting] == ["get_weather"]


@pytest.mark.slow
@pytest.mark.parametrize("max_tokens", range(8, 32, 2))
async def test_calls_of_cut_answer_never_run(backend: LocalBackend, max_tokens: int) -> None:
    """Neither the one that the limit cut, nor the complete one before it."""
    asked = request("Get the weather in Rome and the weather in Tokyo.")
    sampling = replace(asked.sampling, max_tokens=max_tokens)
    steps = await steps_of(backend, replace(asked, sampling=sampling), ALLOWED)
    ended = next(step.event for step in steps if isinstance(step.event, Finished))
    ran = [step.call for step in steps if step.call]
    assert bool(ran) == (ended.finish_reason == "tool_calls")
    assert ended.finish_reason in ("length", "tool_calls")
    if ended.finish_reason == "length":
        assert not unanswered(steps[-1].messages)
