"""Tool calls as they are written: read piece by piece, whatever the pieces are."""

import json
import random

import pytest

from playground.errors import InvalidRequest
from playground.protocol import CallDelta, Tool, ToolChoice
from playground.structured.call_reader import CallReader
from playground.structured.tool_grammar import tool_grammar

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER, TIDE = Tool("get_weather", "w", CITY), Tool("get_tide", "t", CITY)
WRITTEN = [
    ("get_weather", {"city": 'Pa"}{[]ris \\ "'}),
    ("get_tide", {"city": "日本 👩‍👩‍👧", "deep": {"er": [1, [2]]}}),
    ("get_tide", {}),
]


@pytest.mark.parametrize("seed", range(20))
def test_calls_read_same_in_any_pieces(seed: int) -> None:
    text = json.dumps(
        [{"name": name, "arguments": arguments} for name, arguments in WRITTEN], ensure_ascii=False
    )
    rng, reader, at = random.Random(seed), CallReader(), 0
    deltas: list[CallDelta] = []
    while at < len(text):
        step = rng.randint(1, 9)
        deltas += reader.push(text[at : at + step])
        at += step
    assert [(call.name, json.loads(call.arguments)) for call in reader.calls] == WRITTEN
    for index, call in enumerate(reader.calls):
        own = [delta for delta in deltas if delta.index == index]
        assert "".join(delta.arguments for delta in own) == call.arguments
        assert [delta.id for delta in own if delta.name] == [call.id]
        assert own[0].name == call.name
    assert len({call.id for call in reader.calls}) == len(WRITTEN)


@pytest.mark.parametrize(
    ("tools", "choice", "words"),
    [
        ((WEATHER, WEATHER), ToolChoice(), "twice"),
        ((Tool("get weather"),), ToolChoice(), "does not match"),
        ((WEATHER,), ToolChoice("required", ("fly",)), "'fly' is none of the tools: get_weather"),
        ((), ToolChoice("required"), "there are no tools"),
        ((Tool("f", "", {"properties": {"a": {"type": "strin"}}}),), ToolChoice(), "/properties/a"),
    ],
)
def test_wrong_tools_are_refused(tools: tuple[Tool, ...], choice: ToolChoice, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        tool_grammar(tools, choice)


def test_no_tools_need_no_grammar() -> None:
    assert tool_grammar((), ToolChoice()) == ""
    assert tool_grammar((WEATHER,), ToolChoice("none")) == ""
