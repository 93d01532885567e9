"""The local backend on the embedded model: intent in, events and provenance out."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from playground.backends.local import LocalBackend
from playground.errors import InvalidRequest, UnknownModel
from playground.protocol import (
    Delta,
    Finished,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    answer,
    collect,
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Current weather in a city.", CITY)
ASKED = Request(
    "embedded",
    (Message("user", "What is the weather in Paris?"),),
    tools=(WEATHER,),
    sampling=Sampling(temperature=0),
)


async def test_stream_ends_in_one_finished(backend: LocalBackend) -> None:
    events = [event async for event in backend.stream(ASKED)]
    assert all(isinstance(event, Delta) for event in events[:-1])
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.finish_reason == "tool_calls"


@pytest.mark.slow
async def test_provenance_reproduces_the_answer(backend: LocalBackend) -> None:
    """The seed that was drawn is reported, and gives the same answer again."""
    request = Request(
        "embedded", (Message("user", "Tell me about Rome."),), sampling=Sampling(temperature=1.0)
    )
    first = await answer(backend, request)
    assert first.provenance.base_hash
    assert first.provenance.settings == {"temperature": 1.0}
    seeded = replace(request.sampling, seed=first.provenance.seed)
    again = await answer(backend, replace(request, id="again", sampling=seeded))
    assert again.text == first.text


@pytest.mark.slow
async def test_tool_choice_none_hides_tools(backend: LocalBackend) -> None:
    without = replace(ASKED, id="1", tools=(), tool_choice=ToolChoice())
    hidden = replace(ASKED, id="2", tool_choice=ToolChoice("none"))
    got = await answer(backend, hidden)
    assert not got.calls
    assert got.usage.prompt_tokens == (await answer(backend, without)).usage.prompt_tokens


async def test_schema_answer_is_strict(backend: LocalBackend) -> None:
    request = replace(
        ASKED, tools=(), response_format=ResponseFormat({**CITY, "additionalProperties": False})
    )
    got = await answer(backend, request)
    assert got.guarantee == "strict"
    assert got.text.startswith('{"city": ')


async def test_bad_schema_raises_before_first_event(backend: LocalBackend) -> None:
    request = replace(ASKED, response_format=ResponseFormat({"type": "strin"}))
    with pytest.raises(InvalidRequest, match="response_format"):
        await collect(backend.stream(request))
    assert backend.live_requests == 0


async def test_unknown_model_names_served_ones(backend: LocalBackend) -> None:
    with pytest.raises(UnknownModel, match="embedded"):
        await backend.count_tokens(replace(ASKED, model="gpt-9"))


async def test_closing_the_stream_frees_it(backend: LocalBackend) -> None:
    endless = Sampling(temperature=0.0, logit_bias={2: -100.0})
    async with aclosing(backend.stream(replace(ASKED, tools=(), sampling=endless))) as events:
        await anext(events)
    async with asyncio.timeout(30):
        while backend.live_requests:
            await asyncio.sleep(0)
    assert backend.live_requests == 0


async def test_leaving_before_submission_frees_it(backend: LocalBackend) -> None:
    """The prompt is rendered in a thread; whoever leaves meanwhile leaves no orphan behind."""
    endless = Sampling(temperature=0.0, logit_bias={2: -100.0})
    tasks = []
    for number in range(20):
        request = replace(ASKED, id=f"left-{number}", tools=(), sampling=endless)
        tasks.append(asyncio.create_task(collect(backend.stream(request))))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        tasks[-1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    async with asyncio.timeout(30):
        while backend.live_requests:
            await asyncio.sleep(0.01)
    assert backend.live_requests == 0
