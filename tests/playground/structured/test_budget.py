"""Near the end of its token budget a structured answer is brought to its end."""

import asyncio
import json

import pytest
from jsonschema import Draft202012Validator

from playground.backends.local import LocalBackend
from playground.protocol import Message, Request, Sampling, Tool, ToolChoice, answer
from playground.structured.extraction import json_request

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


@pytest.mark.parametrize("max_tokens", [24, 32, 48, 96, 150])
async def test_a_schemas_answer_ends_within_its_budget(
    backend: LocalBackend, max_tokens: int
) -> None:
    requests = [
        json_request("embedded", NOISE, SCHEMA, Sampling(1.8, seed=seed, max_tokens=max_tokens))
        for seed in range(8)
    ]
    for got in await asyncio.gather(*(answer(backend, each, tries=1) for each in requests)):
        assert got.finish_reason == "stop"
        assert Draft202012Validator(SCHEMA).is_valid(json.loads(got.text))


async def test_a_budget_that_no_answer_fits_ends_in_length(backend: LocalBackend) -> None:
    sampling = Sampling(temperature=0, max_tokens=8)
    got = await answer(backend, json_request("embedded", NOISE, SCHEMA, sampling), tries=1)
    assert (got.finish_reason, got.usage.completion_tokens) == ("length", 8)
    assert got.guarantee is None


async def test_calls_end_within_their_budget(backend: LocalBackend) -> None:
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
        assert got.finish_reason == "tool_calls"
        for call in got.calls:
            assert Draft202012Validator(SCHEMA).is_valid(json.loads(call.arguments))


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
