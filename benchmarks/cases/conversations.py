"""The server accepts its own words back, and what clients and libraries make of them."""

from collections.abc import Iterator
from typing import Any

from benchmarks.cases.case import Case, answered, text_has
from benchmarks.cases.requests import (
    FRENCH,
    HELLO,
    HI,
    WEATHER,
    WEATHER_QUESTION,
    WHO,
    both,
)


def _called(arguments: Any, **more: Any) -> list[dict[str, Any]]:
    called = {"name": "get_weather", "arguments": arguments, **more}
    call = {"id": "call_1", "type": "function", "function": called}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
    return [{"role": "assistant", "content": None, "tool_calls": [call]}, result]


def histories() -> Iterator[Case]:
    answers: dict[str, dict[str, Any]] = {
        "empty text": {"content": "", "refusal": None},
        "null text": {"content": None},
        "no content at all": {},
        "no parts": {"content": []},
        "empty part": {"content": [{"type": "text", "text": ""}]},
        "refusal": {"content": None, "refusal": "I may not."},
        "empty list of calls": {"content": "Hi.", "tool_calls": []},
        "null calls": {"content": "Hi.", "tool_calls": None},
        "parsed": {"content": "{}", "parsed": {}},
        "audio and annotations": {"content": "Hi.", "audio": None, "annotations": []},
        "reasoning_content": {"content": "Hi.", "reasoning_content": "They greet me."},
        "prefix false": {"content": "Hi.", "prefix": False},
        "front end's fields": {"content": "Hi.", "id": "m2", "timestamp": 1, "model": "x"},
        "cache_control": {"content": "Hi.", "cache_control": {"type": "ephemeral"}},
        "extra_content": {"content": "Hi.", "extra_content": {"google": {}}},
    }
    for name, fields in answers.items():
        history = [HELLO, {"role": "assistant", **fields}, WHO]
        yield from both("history", name, {"messages": history}, answered)
    arguments: dict[str, Any] = {
        "empty": "",
        "white space": " ",
        "cut": '{"city": "Par',
        "a list": "[1]",
        "a number": "7",
        "null": None,
        "an object": {"city": "Paris"},
        "text": "Paris",
        "nested": '{"a": ' * 40 + "1" + "}" * 40,
    }
    for name, value in arguments.items():
        history = [WEATHER_QUESTION, *_called(value)]
        fields = {"messages": history, "tools": [WEATHER]}
        yield from both("history", f"arguments: {name}", fields, answered)
    parsed = [WEATHER_QUESTION, *_called('{"city": "Paris"}', parsed_arguments={"city": "Paris"})]
    yield from both("history", "parsed_arguments", {"messages": parsed}, answered)
    older = [
        WEATHER_QUESTION,
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "get_weather", "arguments": "{}"},
        },
        {"role": "function", "name": "get_weather", "content": "sunny"},
    ]
    yield from both("history", "function_call", {"messages": older}, answered)


def orders() -> Iterator[Case]:
    call, result = _called("{}")
    second = {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    two = {**call, "tool_calls": [*call["tool_calls"], second]}
    other = {"role": "tool", "tool_call_id": "call_2", "content": "2"}
    orders: dict[str, list[dict[str, Any]]] = {
        "system after answer": [HELLO, HI, FRENCH, WHO],
        "developer after answer": [HELLO, HI, {**FRENCH, "role": "developer"}, WHO],
        "system at the end": [HELLO, FRENCH],
        "system after result": [WEATHER_QUESTION, call, result, FRENCH],
        "two systems": [FRENCH, {"role": "system", "content": "Be brief."}, HELLO],
        "system only": [FRENCH],
        "answer at the end": [HELLO, HI],
        "answer first": [HI, HELLO],
        "answers in a row": [HELLO, HI, HI, WHO],
        "users in a row": [HELLO, WHO],
        "results out of order": [WEATHER_QUESTION, two, other, result],
        "result missing": [WEATHER_QUESTION, two, result, WHO],
        "no result": [WEATHER_QUESTION, call, WHO],
        "result with a name": [WEATHER_QUESTION, call, {**result, "name": "get_weather"}],
        "result with another name": [WEATHER_QUESTION, call, {**result, "name": "other"}],
        "result in parts": [
            WEATHER_QUESTION,
            call,
            {**result, "content": [{"type": "text", "text": "sunny"}]},
        ],
        "empty result": [WEATHER_QUESTION, call, {**result, "content": ""}],
    }
    for name, messages in orders.items():
        yield from both("order", name, {"messages": messages}, answered)
    japan = {"role": "user", "content": "What is the capital of Japan?"}
    begun = {"role": "assistant", "content": "The capital of Japan is"}
    continued: dict[str, dict[str, Any]] = {
        "prefix": {"messages": [japan, {**begun, "prefix": True}]},
        "continue_final_message": {
            "messages": [japan, begun],
            "continue_final_message": True,
            "add_generation_prompt": False,
        },
    }
    for name, fields in continued.items():
        yield from both("order", name, fields, text_has(" Tokyo"))
