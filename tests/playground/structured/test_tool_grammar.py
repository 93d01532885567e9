"""Tool calls as they are written: read piece by piece, whatever the pieces are."""

import json
import random
from typing import Any

import pytest

from playground.errors import InvalidRequest
from playground.protocol import CallDelta, Tool, ToolChoice
from playground.structured.call_reader import CallReader
from playground.structured.schema import MAX_SCHEMA_CHARACTERS
from playground.structured.tool_grammar import compile_tools, tool_grammar

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
        compile_tools(tools, choice)


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"type": "object", "properties": None}, "/properties"),
        ({"type": "object", "properties": {}, "required": None}, "/required"),
        ({"type": "strin"}, "/type"),
        ({"type": "string"}, "/type"),
    ],
)
def test_malformed_parameters_name_their_tool(parameters: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRequest, match=f"wrong at {place}: ") as caught:
        compile_tools((WEATHER, Tool("f", "", parameters)), ToolChoice())
    assert caught.value.field == "tools[1].function.parameters"


def test_strict_tool_without_guarantee_refused() -> None:
    tags = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    tool = Tool("f", "", {"type": "object", "properties": {"tags": tags}}, strict=True)
    with pytest.raises(InvalidRequest, match="uniqueItems at /properties/tags cannot"):
        compile_tools((tool,), ToolChoice())


def test_schemas_of_all_tools_are_limited() -> None:
    values = {"description": "x" * (MAX_SCHEMA_CHARACTERS // 4)}
    tools = [Tool(f"f{n}", "", {"properties": {f"a{n}": values}}) for n in range(4)]
    with pytest.raises(InvalidRequest, match="characters together"):
        compile_tools(tools, ToolChoice())


def test_no_tools_need_no_grammar() -> None:
    assert tool_grammar((), ToolChoice()) == ""
    none = ToolChoice("none")
    assert tool_grammar(compile_tools((WEATHER,), none), none) == ""
