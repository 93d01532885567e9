"""An answer that the limit cut is never handed over as finished."""

from collections.abc import Iterator
from typing import Any

import httpx

from benchmarks.cases.case import Case, Check, Outcome, answered
from benchmarks.cases.requests import WEATHER, WEATHER_QUESTION, body, both, function


def cut_answers(client: httpx.Client) -> Iterator[Case]:
    path = function("delete_files", {"path": {"type": "string"}}, description="Delete files")
    year = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}
    listed = {
        "type": "object",
        "properties": {"n": {"type": "array", "items": {"type": "integer"}}},
    }
    shaped = {"type": "json_schema", "json_schema": {"name": "x", "schema": year}}
    delete = {"role": "user", "content": "Delete the files under /srv/data/2024/tmp"}
    both_cities = {"role": "user", "content": "Get the weather in Rome and the weather in Tokyo."}
    when = {"role": "user", "content": "It was in 2026."}
    legacy = {"functions": [path["function"]], "function_call": {"name": "delete_files"}}
    asked: dict[str, dict[str, Any]] = {
        "call": {"messages": [delete], "tools": [path], "tool_choice": "required"},
        "named call": {
            "messages": [delete],
            "tools": [path],
            "tool_choice": {"type": "function", "function": {"name": "delete_files"}},
        },
        "free call": {"messages": [WEATHER_QUESTION], "tools": [WEATHER]},
        "two calls": {"messages": [both_cities], "tools": [WEATHER]},
        "function_call": {"messages": [delete], **legacy},
        "JSON number": {"messages": [when], "response_format": shaped},
        "JSON list": {
            "messages": [when],
            "response_format": {"type": "json_object", "schema": listed},
        },
        "any JSON": {"messages": [when], "response_format": {"type": "json_object"}},
    }
    for name, fields in asked.items():
        whole = Case("", "", body(**fields, max_tokens=300)).send(client)
        for limit in (3, 7, 11, 14, 18, 23):
            check = _cut_or_same(whole)
            yield from both("cut", f"{name}, {limit} tokens", fields | {"max_tokens": limit}, check)
    for stop in ("2026", '"', "year"):
        fields = {"messages": [when], "response_format": shaped, "stop": stop, "max_tokens": 60}
        yield from both("cut", f"stop string {stop} in JSON", fields, _claims_nothing)


def _cut_or_same(whole: Outcome) -> Check:
    def content(got: Outcome) -> object:
        message = got.message
        calls = [call["function"] for call in message.get("tool_calls") or ()]
        return message.get("content"), calls, message.get("function_call")

    def check(got: Outcome) -> str:
        reason = got.choice.get("finish_reason")
        if reason == "length":
            return "claims a guarantee" if got.choice.get("x_guarantee") else ""
        same = reason == whole.choice.get("finish_reason") and content(got) == content(whole)
        return "" if same else f"{reason}: {content(got)} instead of {content(whole)}"

    return check


def _claims_nothing(got: Outcome) -> str:
    problem = answered(got)
    return problem or ("claims a guarantee" if got.choice.get("x_guarantee") else "")
