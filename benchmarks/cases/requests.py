"""Bodies that the variants are made of."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.cases.case import Case, Check

MODEL = "embedded"
HELLO = {"role": "user", "content": "Hello!"}
WHO = {"role": "user", "content": "Who are you?"}
WEATHER_QUESTION = {"role": "user", "content": "What is the weather in Paris?"}
HI = {"role": "assistant", "content": "Hi."}
FRENCH = {"role": "system", "content": "Answer in French."}


def function(name: str, properties: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A tool all of whose arguments are required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": schema, **more}}


WEATHER = function("get_weather", {"city": {"type": "string"}}, description="Weather in a city")


def body(**fields: Any) -> dict[str, Any]:
    """A greedy chat request."""
    return {"model": MODEL, "temperature": 0, "max_tokens": 12, "messages": [HELLO], **fields}


def both(kind: str, name: str, fields: Mapping[str, Any], *checks: Check) -> Iterator[Case]:
    """Whole and streamed."""
    yield Case(kind, name, body(**fields), checks)
    yield Case(kind, f"{name}, streamed", body(**fields, stream=True), checks)


def object_schema(**properties: Any) -> dict[str, Any]:
    """An object all of whose properties are required."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def shaped(schema: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A response format."""
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}
