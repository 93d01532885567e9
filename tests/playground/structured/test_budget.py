"""Near its token limit a structured answer is closed, and says that the limit did it."""

import asyncio
import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from playground.backends.local import LocalBackend
from playground.engine.grammar import GrammarCompiler
from playground.lab.extraction import json_request
from playground.protocol import Message, Request, Sampling, Tool, ToolChoice, answer
from playground.structured.schema import compile_schema

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tags": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
                "required": ["a", "b"],
            },
        },
        "date": {"type": "string", "format": "date"},
        "note": {"type": "string", "minLength": 3},
    },
    "required": ["name", "tags", "date"],
}
NOISE = "Name: Anna; with as many tags as there can be"


@pytest.mark.slow
@pytest.mark.parametrize("max_tokens", [24, 32, 48, 96, 150])
async def test_schema_answer_is_closed_and_reports_length(
    backend: LocalBackend, max_tokens: int
) -> None:
    requests = [
        json_request("embedded", NOISE, SCHEMA, Sampling(1.8, seed=seed, max_tokens=max_tokens))
        for seed in range(8)
    ]
    for got in await asyncio.gather(*(answer(backend, each, tries=1) for each in requests)):
        assert Draft202012Validator(SCHEMA).is_valid(json.loads(got.text))
        own_end = (got.finish_reason, got.closed_early, got.guarantee) == ("stop", False, "strict")
        closed = (got.finish_reason, got.closed_early, got.guarantee) == ("length", True, None)
        assert own_end or closed
        assert closed or max_tokens > 24


async def test_a_budget_that_no_answer_fits_ends_in_length(backend: LocalBackend) -> None:
    sampling = Sampling(temperature=0, max_tokens=8)
    got = await answer(backend, json_request("embedded", NOISE, SCHEMA, sampling), tries=1)
    assert (got.finish_reason, got.usage.completion_tokens) == ("length", 8)
    assert got.guarantee is None


@pytest.mark.slow
async def test_cut_call_is_never_handed_over(backend: LocalBackend) -> None:
    tool = Tool("note_down", "Note down the text.", SCHEMA)
    requests = [
        Request(
            "embedded",
            (Message("user", NOISE),),
            tools=(tool,),
            tool_choice=ToolChoice("required"),
            sampling=Sampling(temperature=1.8, seed=seed, max_tokens=64),
        )
        for seed in range(8)
    ]
    for got in await asyncio.gather(*(answer(backend, request) for request in requests)):
        if got.closed_early:
            assert (got.finish_reason, got.calls) == ("length", ())
        else:
            assert got.finish_reason == "tool_calls"
        for call in got.calls:
            assert Draft202012Validator(SCHEMA).is_valid(json.loads(call.arguments))


@pytest.mark.slow
async def test_cut_argument_is_never_a_call(backend: LocalBackend) -> None:
    """At every limit a call is the whole one, or there is none and the reason is ``length``."""
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    request = Request(
        "embedded",
        (Message("user", "What is the weather in San Francisco?"),),
        tools=(Tool("get_weather", "Current weather in a city", city),),
        tool_choice=ToolChoice("required"),
        sampling=Sampling(temperature=0, max_tokens=200),
    )
    whole = await answer(backend, request)
    assert whole.finish_reason == "tool_calls"
    needed = whole.usage.completion_tokens
    limits = range(1, needed + 3)
    answers = await asyncio.gather(
        *(
            answer(backend, replace(request, id=f"{n}", sampling=Sampling(0.0, max_tokens=n)))
            for n in limits
        )
    )
    for limit, got in zip(limits, answers, strict=True):
        complete = ("tool_calls", whole.calls)
        assert (got.finish_reason, got.calls) in (complete, ("length", ()))
        assert got.calls or limit <= needed
    assert any(got.closed_early for got in answers)


async def test_stop_string_in_json_claims_no_guarantee(backend: LocalBackend) -> None:
    sampling = Sampling(temperature=0, max_tokens=200, stop=("Anna",))
    got = await answer(backend, json_request("embedded", NOISE, SCHEMA, sampling), tries=1)
    assert (got.finish_reason, got.guarantee) == ("stop", None)
    assert "Anna" not in got.text


async def test_plain_text_beside_tools_is_cut_and_says_so(backend: LocalBackend) -> None:
    tool = Tool("ring_bell", "Ring the bell.")
    request = Request(
        "embedded",
        (Message("user", "Could you make a table of the planets, please?"),),
        tools=(tool,),
        sampling=Sampling(temperature=0, max_tokens=6),
    )
    got = await answer(backend, request)
    assert not got.calls
    assert (got.finish_reason, got.usage.completion_tokens) == ("length", 6)


def test_number_before_another_field_is_kept(backend: LocalBackend) -> None:
    """Zeros could follow its digits for ever: they were taken for the shortest way to an end."""
    tokenizer = backend.loaded.tokenizer
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}, "city": {"type": "string"}},
        "required": ["age", "city"],
    }
    matcher = GrammarCompiler(tokenizer).compile(f"start: {compile_schema(schema).rule}")
    for token in tokenizer.encode_plain('{"age": '):
        matcher.consume(token)
    for digit in "123456789":
        (token,) = tokenizer.encode_plain(digit)
        assert matcher.keep_closable(token, 20) == token
