"""Schemas over HTTP: what is held, checked or refused, where, and what the answer says of it."""

import enum
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import httpx
import openai
import pytest
from pydantic import BaseModel, Field

from playground.backends.scripted import ScriptedBackend
from playground.protocol import Request

HELLO: list[Any] = [{"role": "user", "content": "Hello!"}]
ASKED: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 60}
TAGS = {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True, "minItems": 2}
TWICE = {"type": "object", "properties": {"t": TAGS | {"maxItems": 2}}, "required": ["t"]}
MAIL = r"^(?!\.)(?!.*\.\.)([a-z.]*)[a-z]@([a-z]+\.)+[a-z]{2,}$"


def tool(parameters: dict[str, Any], name: str = "w", **more: Any) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def form(schema: dict[str, Any], **more: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


def field(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


def refusal(client: openai.OpenAI, model: str, **body: Any) -> tuple[str | None, str]:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=HELLO, max_tokens=20, **body)
    return caught.value.param, str(caught.value.body["message"])  # type: ignore[index]


def test_look_ahead_in_one_tool_is_taken(client, model) -> None:
    city = field({"type": "string"})
    invite = field({"type": "string", "format": "email", "pattern": MAIL})
    reply = client.chat.completions.create(
        model=model, messages=HELLO, tools=[tool(city, "get_weather"), tool(invite, "invite")]
    )
    assert reply.choices[0].message.content


@pytest.mark.slow
def test_look_ahead_in_one_choice_is_checked(client, model) -> None:
    price = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^(?!^[-+.]*$)[0-9.]*$"}]}
    reply = client.chat.completions.create(
        model=model, messages=HELLO, response_format=form(field(price)), **GREEDY
    )
    assert reply.choices[0].finish_reason in ("stop", "length")
    assert reply.choices[0].finish_reason == "length" or reply.choices[0].x_guarantee == "checked"


@pytest.mark.parametrize("pattern", [r"^\p{Lu}+$", r"^(?<y>\d)$"])
def test_ecma_pattern_is_held(client, model, pattern) -> None:
    schema = field({"type": "string", "pattern": pattern, "maxLength": 5})
    reply = client.chat.completions.create(
        model=model, messages=HELLO, response_format=form(schema, strict=True), **GREEDY
    )
    assert reply.choices[0].x_guarantee == "strict"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}, "refers to itself"),
        (field({"$ref": "#"}), "refers to itself endlessly"),
        (field({"type": "string", "pattern": "("}), "/properties/a/pattern"),
        ({"type": "object", "properties": None}, "wrong at /properties: None"),
        (field({"type": "strin"}), "wrong at /properties/a/type: 'strin'"),
        (field({"minimum": "3"}), "wrong at /properties/a/minimum: '3'"),
    ],
)
def test_wrong_schema_is_named_with_place(client, model, schema, words) -> None:
    param, message = refusal(client, model, response_format=form(schema))
    assert param == "response_format"
    assert words in message
    param, message = refusal(client, model, tools=[tool(field({}), "v"), tool(schema)])
    assert param == "tools[1].function.parameters"
    assert words in message


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (field(TAGS), "uniqueItems at /properties/a cannot be guaranteed"),
        (field({"propertyNames": {"enum": ["x"]}}), "propertyNames at /properties/a cannot"),
        (field({"type": "string", "pattern": "^(?!a)"}), "(look-around is not supported)"),
        (field({"type": "string", "format": "iban"}), "format at /properties/a cannot"),
        (field({"oneOf": [{"type": "string"}, {"minLength": 3}]}), "oneOf at /properties/a cannot"),
    ],
)
def test_strict_names_what_cannot_be_held(client, model, schema, words) -> None:
    param, message = refusal(client, model, response_format=form(schema, strict=True))
    assert param == "response_format"
    assert words in message
    param, message = refusal(client, model, tools=[tool(schema, strict=True)])
    assert param == "tools[0].function.parameters"
    assert words in message


def test_strict_is_refused_before_a_stream_begins(client, model) -> None:
    param, _ = refusal(client, model, response_format=form(TAGS, strict=True), stream=True)
    assert param == "response_format"


class Colour(enum.Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9, multiple_of=1)]


class Dog(BaseModel):
    kind: Literal["dog"]
    name: Annotated[str, Field(pattern="^[A-Z]")]


class Home(BaseModel):
    """What pydantic writes for the types that people use."""

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    colour: Colour = Colour.RED
    price: float | None = None
    parts: Annotated[list[str], Field(min_length=1, max_length=2)]
    notes: dict[str, int] = {}
    inner: list["Home"] = []


@pytest.mark.slow
def test_pydantic_model_is_held_strictly(client, model) -> None:
    schema = Home.model_json_schema()
    reply = client.chat.completions.create(
        model=model, messages=HELLO, response_format=form(schema, strict=True), **GREEDY
    )
    assert reply.choices[0].finish_reason in ("stop", "length")
    assert reply.choices[0].model_extra.get("x_guarantee", "strict") == "strict"


@pytest.mark.slow
def test_decimal_of_pydantic_is_taken(client, model) -> None:
    class Price(BaseModel):
        price: Decimal

    reply = client.chat.completions.create(
        model=model, messages=HELLO, response_format=form(Price.model_json_schema()), **GREEDY
    )
    assert reply.choices[0].finish_reason in ("stop", "length")


@pytest.mark.parametrize(
    ("parameters", "guarantees"),
    [(field({"enum": [1]}), {"strict"}), (TWICE, {"checked", "none"})],
)
def test_calls_carry_their_guarantee(client, model, parameters, guarantees) -> None:
    asked = {"model": model, "messages": ASKED, "tools": [tool(parameters)]}
    asked |= {"tool_choice": "required", "parallel_tool_calls": False, **GREEDY}
    choice = client.chat.completions.create(**asked).choices[0]
    assert choice.x_guarantee in guarantees
    values = json.loads(choice.message.tool_calls[0].function.arguments).get("t", ["a", "b"])
    assert (choice.x_guarantee == "none") == (values[0] == values[1])


def test_streamed_calls_carry_their_guarantee(client, model) -> None:
    asked = {"model": model, "messages": ASKED, "tools": [tool(field({"enum": [1]}))]}
    asked |= {"tool_choice": "required", "parallel_tool_calls": False, **GREEDY}
    *_, last = client.chat.completions.create(**asked, stream=True)
    assert last.choices[0].x_guarantee == "strict"


@pytest.mark.slow
def test_answer_says_that_schema_was_shown(client, model) -> None:
    schema = field({"enum": ["yes"], "description": "Consent"})
    asked = {"model": model, "messages": HELLO, **GREEDY}
    shown = client.chat.completions.create(**asked, response_format=form(schema))
    assert shown.choices[0].x_schema_in_prompt is True
    plain = client.chat.completions.create(**asked)
    assert "x_schema_in_prompt" not in plain.choices[0].model_extra
    assert shown.usage.prompt_tokens > plain.usage.prompt_tokens


@pytest.mark.parametrize(("n", "prompt"), [(1, 3), (2, 5)])
def test_all_tries_are_billed(serve: Callable[..., str], n: int, prompt: int) -> None:
    """Each of ``n`` answers is tried three times; the prompt of the first try counts once."""

    def breaks(_: Request) -> list[str]:
        return ['["a",', '"a"]']

    reply = httpx.post(
        f"{serve(ScriptedBackend(breaks))}/v1/chat/completions",
        json={
            "model": "scripted",
            "messages": [{"role": "user", "content": "one"}],
            "response_format": form(TAGS),
            "n": n,
        },
    ).json()
    assert reply["usage"]["prompt_tokens"] == prompt
    assert reply["usage"]["completion_tokens"] == 2 * 3 * n
    assert [choice["x_tries"] for choice in reply["choices"]] == [3] * n
    assert [choice["x_guarantee"] for choice in reply["choices"]] == ["none"] * n
