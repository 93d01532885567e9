"""Our own variants of every kind of request that went wrong somewhere, with what is right.

The shapes come from public reports about servers of this kind (docs/log.md names them); texts are
invented. A variant is sent whole, and streamed where that can differ.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from benchmarks.cases.case import (
    Case,
    Check,
    Outcome,
    answered,
    ends,
    has_header,
    refused,
    status,
    text_has,
)

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


def all_variants(client: httpx.Client) -> Iterator[Case]:
    """Every variant; ``client`` gives the uncut answers that cut ones are compared with."""
    yield from _cut_answers(client)
    yield from _histories()
    yield from _orders()
    yield from _schemas()
    yield from _parameters()
    yield from _http()


# A cut is never handed over as finished


def _cut_answers(client: httpx.Client) -> Iterator[Case]:
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


# The server accepts its own words back, and what clients and libraries make of them


def _called(arguments: Any, **more: Any) -> list[dict[str, Any]]:
    call = {"id": "call_1", "type": "function"}
    call["function"] = {"name": "get_weather", "arguments": arguments, **more}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
    return [{"role": "assistant", "content": None, "tool_calls": [call]}, result]


def _histories() -> Iterator[Case]:
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


def _orders() -> Iterator[Case]:
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


# Schemas


def _shaped(schema: Mapping[str, Any], **more: object) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _schemas() -> Iterator[Case]:
    patterns = {
        "look-ahead": r"^(?!\.)[a-z.]{1,8}$",
        "look-behind": r"^[a-z]{1,8}(?<!x)$",
        "word boundary": r"^\b[a-z]{1,8}\b$",
        "back reference": r"^([a-z])\1$",
        "end of text": r"^[a-z]{1,8}\Z",
        "property": r"^\p{L}{1,8}$",
        "named group": r"^(?<first>[a-z])[a-z]{0,7}$",
        "zod's e-mail": r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@"
        r"([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
        "pydantic's decimal": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$",
        "unanchored": "[0-9]{3}",
    }
    for name, pattern in patterns.items():
        schema = _object(a={"type": "string", "pattern": pattern, "maxLength": 12})
        form = {"response_format": _shaped(schema), "max_tokens": 200}
        yield from both("schema", f"pattern: {name}", form, answered)
        tools = [WEATHER, function("invite", {"a": {"type": "string", "pattern": pattern}})]
        yield Case("schema", f"pattern in a tool: {name}", body(tools=tools), (answered,))
    strict = {
        "uniqueItems": {"type": "array", "items": {"enum": ["x", "y"]}, "uniqueItems": True},
        "propertyNames": {"type": "object", "propertyNames": {"enum": ["x", "y"]}},
        "pattern": {"type": "string", "pattern": patterns["look-ahead"]},
    }
    for keyword, part in strict.items():
        form = _shaped(_object(a=part), strict=True)
        yield from both(
            "schema",
            f"strict {keyword}",
            {"response_format": form},
            refused("response_format", keyword),
        )
        tools = [function("f", {"a": part}, strict=True)]
        param = "tools[0].function.parameters"
        yield Case(
            "schema", f"strict tool {keyword}", body(tools=tools), (refused(param, keyword),)
        )
    held = {
        "integer range": {"type": "integer", "minimum": 3, "maximum": 9},
        "enum": {"enum": ["a", "b", None]},
        "nullable": {"type": ["string", "null"], "maxLength": 5},
        "anyOf": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
        "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
        "date": {"type": "string", "format": "date"},
    }
    for name, part in held.items():
        schema = _object(a=part)
        form = {"response_format": _shaped(schema, strict=True), "max_tokens": 200}
        yield from both("schema", f"held: {name}", form, answered, _valid(schema))
    endless = {
        "itself": {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
        "each other": {
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
            "$ref": "#/$defs/A",
        },
        "required": {"$defs": {"A": _object(a={"$ref": "#/$defs/A"})}, "$ref": "#/$defs/A"},
    }
    for name, schema in endless.items():
        form = {"response_format": _shaped(schema)}
        yield from both("schema", f"endless: {name}", form, refused("response_format"))
        tool = {"type": "function", "function": {"name": "f", "parameters": _object(a=schema)}}
        if "$defs" in schema:
            tool["function"]["parameters"]["$defs"] = schema["$defs"]
        param = "tools[0].function.parameters"
        yield Case("schema", f"endless in a tool: {name}", body(tools=[tool]), (refused(param),))
    wrong: dict[str, Any] = {
        "properties null": {"type": "object", "properties": None},
        "unknown type": {"type": "strin"},
        "minimum as text": {"type": "integer", "minimum": "3"},
        "required as text": {"type": "object", "required": "a"},
        "unknown reference": {"$ref": "#/$defs/nowhere"},
        "contradiction": {"type": "integer", "minimum": 5, "maximum": 3},
    }
    for name, schema in wrong.items():
        form = _shaped(schema)
        yield Case(
            "schema", f"wrong: {name}", body(response_format=form), (refused("response_format"),)
        )
    nothing = {"type": "json_schema"}
    check = refused("response_format.json_schema")
    yield Case("schema", "no schema given", body(response_format=nothing), (check,))


def _valid(schema: Mapping[str, Any]) -> Check:
    def check(got: Outcome) -> str:
        try:
            value = json.loads(got.message.get("content") or "")
        except ValueError as error:
            return f"not JSON: {error}"
        return next((e.message for e in Draft202012Validator(schema).iter_errors(value)), "")

    return check


# Parameters that vLLM's, Together's and Mistral's users send


def _parameters() -> Iterator[Case]:
    taken: dict[str, dict[str, Any]] = {
        "tool_choice any": {"tools": [WEATHER], "tool_choice": "any"},
        "random_seed": {"random_seed": 3, "temperature": 1},
        "safe_prompt false": {"safe_prompt": False},
        "top_k -1": {"top_k": -1},
        "min_tokens": {"min_tokens": 3},
        "ignore_eos": {"ignore_eos": True},
        "stop_token_ids": {"stop_token_ids": [5]},
        "usage in every chunk": {
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        },
        "max_tokens over the context": {"max_tokens": 100_000, "stop": ["."]},
        "truncate": {
            "max_tokens": 100_000,
            "context_length_exceeded_behavior": "truncate",
            "stop": ["."],
        },
        "guided_json": {"guided_json": _object(a={"type": "boolean"}), "max_tokens": 60},
        "guided_regex": {"guided_regex": "[0-9]{3}"},
        "guided_choice": {"guided_choice": ["yes", "no"]},
        "structured_outputs": {"structured_outputs": {"choice": ["yes", "no"]}},
        "Together's regex": {"response_format": {"type": "regex", "pattern": "(yes|no)"}},
        "empty template arguments": {"chat_template_kwargs": {}},
        "user's name": {"messages": [{**HELLO, "name": "Ann"}]},
        "null everywhere": {"stop": None, "seed": None, "tools": None, "logprobs": None},
    }
    for name, fields in taken.items():
        yield Case("parameter", name, body(**fields), (answered,))
    exact: dict[str, tuple[dict[str, Any], Check]] = {
        "guided_choice holds": ({"guided_choice": ["yes", "no"]}, _one_of("yes", "no")),
        "guided_regex holds": ({"guided_regex": "[0-9]{3}"}, _digits),
        "regex format holds": (
            {"response_format": {"type": "regex", "pattern": "[0-9]{3}"}},
            _digits,
        ),
        "ignore_eos goes on": ({"ignore_eos": True, "max_tokens": 40}, ends("length")),
        "min_tokens holds": ({"min_tokens": 30, "max_tokens": 40}, _at_least(30)),
    }
    for name, (fields, check) in exact.items():
        yield Case("parameter", name, body(**fields), (answered, check))
    over = {"max_tokens": 100_000, "context_length_exceeded_behavior": "error"}
    yield Case("parameter", "error over the context", body(**over), (status(400),))
    long = [{"role": "user", "content": "word " * 5000}]
    yield Case(
        "parameter", "prompt over the context", body(messages=long), (status(400), _overflow)
    )
    wrong: dict[str, tuple[dict[str, Any], str]] = {
        "tool_choice": ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
        "flat tool_choice": (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "get_weather"}},
            "tool_choice.function",
        ),
        "role": ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        "unknown field": ({"foo": 1}, "foo"),
        "negative max_tokens": ({"max_tokens": -1}, "max_tokens"),
        "temperature": ({"temperature": 9}, "temperature"),
        "tool's name": ({"tools": [function("a.b", {})]}, "tools[0].function.name"),
    }
    for name, (fields, param) in wrong.items():
        yield Case("parameter", f"wrong {name}", body(**fields), (refused(param),))
    raw = {"model": MODEL, "prompt": "Paris is", "max_tokens": 1, "echo": True, "logprobs": 1}
    yield Case(
        "parameter", "echo with logprobs", raw, (answered, _prompt_scores), path="/v1/completions"
    )


def _one_of(*texts: str) -> Check:
    def check(got: Outcome) -> str:
        text = got.message.get("content")
        return "" if text in texts else f"{text!r}"

    return check


def _digits(got: Outcome) -> str:
    text = got.message.get("content") or ""
    return "" if len(text) == 3 and text.isdigit() else f"{text!r}"


def _at_least(tokens: int) -> Check:
    def check(got: Outcome) -> str:
        made = got.body["usage"]["completion_tokens"]
        return "" if made >= tokens else f"{made} tokens"

    return check


def _overflow(got: Outcome) -> str:
    """The words by which LiteLLM and LangChain tell it from other errors."""
    said = f"{got.error.get('code')}: {got.error.get('message')}"
    words = ("context_length_exceeded", "maximum context length is")
    return "" if all(word in said for word in words) else said


def _prompt_scores(got: Outcome) -> str:
    scores = got.choice["logprobs"]["token_logprobs"]
    right = scores[0] is None and all(score <= 0 for score in scores[1:])
    return "" if right and len(scores) > 2 else f"{scores}"


# HTTP


def _http() -> Iterator[Case]:
    origin = {"Origin": "http://localhost:3000"}
    asks = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    allowed = has_header("access-control-allow-origin", "http://localhost:3000")
    yield Case("HTTP", "preflight", None, (status(200, 204), allowed), "OPTIONS", headers=asks)
    yield Case("HTTP", "origin", body(), (answered, allowed), headers=origin)
    yield Case("HTTP", "origin of a fault", body(foo=1), (status(400), allowed), headers=origin)
    packed = gzip.compress(json.dumps(body()).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    yield Case("HTTP", "gzip", None, (status(200, 415),), headers=headers, content=packed)
    for path in ("/v1/models", "/v1/models/", "//v1/models", "/v1/models/embedded", "/health"):
        for method in ("GET", "HEAD"):
            yield Case("HTTP", f"{method} {path}", None, (status(200),), method, path)
    yield Case("HTTP", "trailing slash", body(), (answered,), path="/v1/chat/completions/")
    yield Case("HTTP", "request id", body(), (has_header("x-request-id"),))
    named = {"X-Request-Id": "my-own-7"}
    check = has_header("x-request-id", "my-own-7")
    yield Case("HTTP", "own request id", body(), (check,), headers=named)
    yield Case("HTTP", "request id of a fault", body(foo=1), (has_header("x-request-id"),))
    yield Case("HTTP", "unknown path", body(), (status(404),), path="/v1/nothing")
    text = {"Content-Type": "text/plain"}
    yield Case("HTTP", "text body", None, (status(415),), headers=text, content=b"{}")
    json_type = {"Content-Type": "application/json"}
    for name, content in {
        "half a body": b'{"model": ',
        "a list": b"[]",
        "NaN": b'{"a": NaN}',
    }.items():
        yield Case("HTTP", name, None, (status(400),), headers=json_type, content=content)
    for name, sent in {"nothing": {}, "no data": {"message": 1}, "other words": {"x": []}}.items():
        path = "/gradio_api/call/v2/chat"
        yield Case("HTTP", f"page's endpoint: {name}", sent, (status(400, 422),), path=path)
    path = "/gradio_api/call/nothing"
    yield Case("HTTP", "page's unknown endpoint", {"data": []}, (status(404),), path=path)
