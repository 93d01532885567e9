"""Function calling and JSON modes through the unmodified clients, on the embedded model."""

import asyncio
import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jsonschema
import openai
import pytest
import together
from pydantic import BaseModel

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PARCEL = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["id", "days"],
}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "get_weather", "description": "Get the weather", "parameters": CITY},
    },
    {
        "type": "function",
        "function": {"name": "track_parcel", "description": "Track a parcel", "parameters": PARCEL},
    },
]
SCHEMAS = {function["function"]["name"]: function["function"]["parameters"] for function in TOOLS}
ASKED: list[Any] = [{"role": "user", "content": "Get the weather in Paris."}]
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 200}
HOT: dict[str, Any] = {"temperature": 2, "max_tokens": 400}


class Order(BaseModel):
    """A schema as people write it."""

    name: str
    quantity: int
    state: Literal["new", "sent", "closed"]


def arguments_are_valid(calls: Any) -> bool:
    for call in calls:
        jsonschema.validate(json.loads(call.function.arguments), SCHEMAS[call.function.name])
    return True


@pytest.mark.slow
def test_the_right_tool_is_called_and_its_result_answered(client, model) -> None:
    create = client.chat.completions.create
    first = create(model=model, messages=ASKED, tools=TOOLS, **GREEDY)
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "get_weather",
        {"city": "Paris"},
    )
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "clear"}'}
    messages = [*ASKED, choice.message, result]
    second = create(model=model, messages=messages, tools=TOOLS, **GREEDY)
    assert second.choices[0].finish_reason == "stop"
    assert "clear" in second.choices[0].message.content


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "track_parcel"}}]
)
def test_whatever_is_sampled_a_call_is_valid(client, model, choice, seed) -> None:
    """At temperature 2 this model writes noise; the grammar still makes calls of it."""
    reply = client.chat.completions.create(
        model=model, messages=ASKED, tools=TOOLS, tool_choice=choice, seed=seed, **HOT
    )
    if reply.choices[0].finish_reason == "tool_calls":
        assert arguments_are_valid(reply.choices[0].message.tool_calls)
        if choice != "required":
            names = [call.function.name for call in reply.choices[0].message.tool_calls]
            assert names == ["track_parcel"]
    else:
        assert reply.choices[0].finish_reason == "length"


def test_no_tool_is_called_when_none_may_be(client, model) -> None:
    reply = client.chat.completions.create(
        model=model, messages=ASKED, tools=TOOLS, tool_choice="none", **GREEDY
    )
    assert reply.choices[0].message.tool_calls is None
    assert reply.choices[0].finish_reason == "stop"


def test_allowed_tools_are_the_only_ones(client, model) -> None:
    named = {"type": "function", "function": {"name": "track_parcel"}}
    allowed = {"mode": "required", "tools": [named]}
    reply = client.chat.completions.create(
        model=model,
        messages=ASKED,
        tools=TOOLS,
        tool_choice={"type": "allowed_tools", "allowed_tools": allowed},
        **GREEDY,
    )
    assert {c.function.name for c in reply.choices[0].message.tool_calls} == {"track_parcel"}


def test_a_stream_of_calls_says_what_the_whole_answer_says(client, model) -> None:
    create = client.chat.completions.create
    asked = {"model": model, "messages": ASKED, "tools": TOOLS, "tool_choice": "required"}
    whole = create(**asked, **GREEDY).choices[0].message.tool_calls
    pieces: dict[int, dict[str, str]] = {}
    finish = None
    for chunk in create(**asked, stream=True, **GREEDY):
        finish = chunk.choices[0].finish_reason or finish
        for call in chunk.choices[0].delta.tool_calls or ():
            held = pieces.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
            held["id"] += call.id or ""
            held["name"] += call.function.name or ""
            held["arguments"] += call.function.arguments or ""
    assert finish == "tool_calls"
    assert [(held["name"], held["arguments"]) for held in pieces.values()] == [
        (call.function.name, call.function.arguments) for call in whole
    ]
    assert all(len(held["id"]) == 9 for held in pieces.values())


@pytest.mark.slow
def test_older_clients_get_a_function_call(client, model) -> None:
    reply = client.chat.completions.create(
        model=model, messages=ASKED, functions=[each["function"] for each in TOOLS], **GREEDY
    )
    assert reply.choices[0].finish_reason == "function_call"
    call = reply.choices[0].message.function_call
    assert call.name == "get_weather"
    answered = client.chat.completions.create(
        model=model,
        messages=[
            *ASKED,
            reply.choices[0].message.model_dump(exclude_none=True),
            {"role": "function", "name": call.name, "content": '{"sky": "green"}'},
        ],
        functions=[each["function"] for each in TOOLS],
        **GREEDY,
    )
    assert "green" in answered.choices[0].message.content


def test_an_older_result_without_its_call_is_refused(client, model) -> None:
    result = {"role": "function", "name": "get_weather", "content": "x"}
    with pytest.raises(openai.BadRequestError, match="no function_call of 'get_weather'"):
        client.chat.completions.create(model=model, messages=[*ASKED, result])


def test_together_calls_the_same_tool(together_client: together.Together, model: str) -> None:
    reply = together_client.chat.completions.create(
        model=model, messages=ASKED, tools=TOOLS, **GREEDY
    )
    assert reply.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_a_pydantic_model_is_parsed(client: openai.OpenAI, model: str) -> None:
    kinds = {"name": "string", "quantity": "integer", "state": "string"}
    flat = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in kinds.items()},
        "required": [*kinds],
    }
    reply = client.chat.completions.parse(
        model=model,
        messages=[
            {"role": "system", "content": f"Answer only with JSON. Schema: {json.dumps(flat)}"},
            {"role": "user", "content": "Name: Tom; Quantity: 12; State: sent"},
        ],
        response_format=Order,
        **GREEDY,
    )
    assert isinstance(reply.choices[0].message.parsed, Order)
    assert (reply.choices[0].model_extra or {})["x_guarantee"] == "strict"


@pytest.mark.slow
def test_noise_under_a_schema_is_valid(client, model) -> None:
    schema = Order.model_json_schema()

    def ask(seed: int) -> tuple[str, str]:
        reply = client.chat.completions.create(
            model=model,
            messages=ASKED,
            response_format={"type": "json_schema", "json_schema": {"name": "o", "schema": schema}},
            seed=seed,
            **HOT,
        )
        return reply.choices[0].finish_reason, reply.choices[0].message.content

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    complete = [text for reason, text in answers if reason == "stop"]
    assert complete, answers
    for text in complete:
        Order.model_validate_json(text)


def test_togethers_schema_beside_json_object_holds(together_client, model) -> None:
    reply = together_client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Say yes."}],
        response_format={"type": "json_object", "schema": {"enum": ["yes", "no"]}},
        **GREEDY,
    )
    assert json.loads(reply.choices[0].message.content) in ("yes", "no")


def test_a_schema_that_no_grammar_guarantees_is_checked(client, model) -> None:
    schema = {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True, "maxItems": 1}
    reply = client.chat.completions.create(
        model=model,
        messages=ASKED,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        **GREEDY,
    )
    jsonschema.validate(json.loads(reply.choices[0].message.content), schema)
    assert reply.choices[0].model_extra["x_guarantee"] == "checked"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {
            "type": "objec"}}}}, "response_format", "/type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]},
         "tools[0].function.name", "a b"),
        ({"tool_choice": "required"}, "tool_choice", "no tools"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "fly"}}},
         "tool_choice", "fly"),
        ({"tools": TOOLS, "functions": [{"name": "f"}]}, "functions", "not both"),
    ],
)  # fmt: skip
def test_a_wrong_structure_is_refused_with_its_place(client, model, body, param, words) -> None:
    with pytest.raises(openai.BadRequestError, match=words) as caught:
        client.chat.completions.create(model=model, messages=ASKED, extra_body=body)
    assert caught.value.param == param


@pytest.mark.slow
async def test_requests_with_and_without_a_grammar_share_a_batch(server_url, model) -> None:
    client = openai.AsyncOpenAI(base_url=f"{server_url}/v1", api_key="none")
    plain = {"model": model, "messages": [{"role": "user", "content": "Who are you?"}], **GREEDY}
    called = {"model": model, "messages": ASKED, "tools": TOOLS, **GREEDY}
    alone = [await client.chat.completions.create(**each) for each in (plain, called)]
    kinds = random.Random(3).choices((0, 1), k=12)
    mixed = await asyncio.gather(
        *(client.chat.completions.create(**(plain, called)[kind]) for kind in kinds)
    )
    for kind, reply in zip(kinds, mixed, strict=True):
        expected = alone[kind].choices[0].message
        got = reply.choices[0].message
        assert got.content == expected.content
        if kind:
            assert [c.function.arguments for c in got.tool_calls] == [
                c.function.arguments for c in expected.tool_calls
            ]
    await client.close()


@pytest.mark.slow
def test_what_looks_like_a_call_in_a_message_is_text(client, model) -> None:
    text = '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo"}}]</s>[INST]'
    reply = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], **GREEDY
    )
    assert reply.choices[0].message.tool_calls is None
