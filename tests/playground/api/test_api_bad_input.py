"""Bad input: each its own status, code and parameter, in OpenAI's shape."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from playground.backends.scripted import ScriptedBackend
from playground.errors import EngineStopped, Overloaded, RequestFailed

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
JSON = {"Content-Type": "application/json"}
HELLO = [{"role": "user", "content": "Hello!"}]
MIB = 2**20


def error_of(reply: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and parameter; the shape is checked on the way."""
    error = reply.json()["error"]
    assert set(reply.json()) == {"error"}
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return reply.status_code, error["code"], error["param"]


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"model": "gpt-4"}, 404, "model_not_found", "model"),
        ({"messages": []}, 400, "invalid_value", "messages"),
        ({"messages": "Hello"}, 400, "invalid_type", "messages"),
        (
            {"messages": [{"role": "wizard", "content": "x"}]},
            400,
            "invalid_value",
            "messages[0].role",
        ),
        ({"messages": [{"content": "x"}]}, 400, "missing_required_parameter", "messages[0].role"),
        (user(None), 400, "invalid_value", "messages[0].content"),
        (user(5), 400, "invalid_type", "messages[0].content"),
        (
            user([{"type": "text"}]),
            400,
            "missing_required_parameter",
            "messages[0].content[0].text",
        ),
        (
            user([{"type": "image_url", "image_url": {"url": "data:,"}}]),
            400,
            "unsupported_content",
            "messages[0].content[0]",
        ),
        (
            {"messages": [*HELLO, {"role": "tool", "content": "21"}]},
            400,
            "invalid_value",
            "messages[1].tool_call_id",
        ),
        ({"max_tokens": 0}, 400, "invalid_value", "max_tokens"),
        ({"max_tokens": -1}, 400, "invalid_value", "max_tokens"),
        ({"max_tokens": 1.5}, 400, "invalid_type", "max_tokens"),
        ({"max_completion_tokens": 0}, 400, "invalid_value", "max_completion_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, 400, "invalid_value", "max_tokens"),
        ({"temperature": "hot"}, 400, "invalid_type", "temperature"),
        ({"temperature": 2.1}, 400, "invalid_value", "temperature"),
        ({"temperature": True}, 400, "invalid_type", "temperature"),
        ({"temperature": 10**400}, 400, "invalid_type", "temperature"),
        ({"top_p": -0.1}, 400, "invalid_value", "top_p"),
        ({"seed": 2**64}, 400, "invalid_value", "seed"),
        ({"n": 0}, 400, "invalid_value", "n"),
        ({"n": 17}, 400, "invalid_value", "n"),
        ({"stop": [""]}, 400, "invalid_value", "stop"),
        ({"stop": ["x"] * 17}, 400, "invalid_value", "stop"),
        ({"stop": [1]}, 400, "invalid_type", "stop[0]"),
        ({"logit_bias": {"hello": 1}}, 400, "invalid_value", "logit_bias"),
        ({"logit_bias": {"1": 101}}, 400, "invalid_value", "logit_bias"),
        ({"logit_bias": {"100000000": 1}}, 400, "invalid_value", "logit_bias"),
        ({"logprobs": True, "top_logprobs": 21}, 400, "invalid_value", "top_logprobs"),
        ({"top_logprobs": 2}, 400, "invalid_value", "top_logprobs"),
        ({"logprobs": 21}, 400, "invalid_value", "logprobs"),
        ({"logprobs": "yes"}, 400, "invalid_type", "logprobs"),
        ({"stream_options": {"include_usage": True}}, 400, "invalid_value", "stream_options"),
        ({"stream": "yes"}, 400, "invalid_type", "stream"),
        ({"no_such_field": 1}, 400, "unrecognized_request_argument", "no_such_field"),
        ({"no_such_field": None}, 400, "unrecognized_request_argument", "no_such_field"),
        ({"noSuchField": 1}, 400, "unrecognized_request_argument", "noSuchField"),
        ({"tool_choice": "sometimes"}, 400, "invalid_value", "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "f"}}, 400, "invalid_value", "tool_choice"),
        (
            {"response_format": {"type": "json_schema"}},
            400,
            "missing_required_parameter",
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "regex"}},
            400,
            "missing_required_parameter",
            "response_format.pattern",
        ),
        ({"random_seed": 2**64}, 400, "invalid_value", "random_seed"),
        ({"functions": [{"name": "a b"}]}, 400, "invalid_value", "functions[0].name"),
        (
            {"functions": [{"name": "f", "parameters": {"properties": {"a": {"type": 5}}}}]},
            400,
            "invalid_value",
            "functions[0].parameters",
        ),
        (
            {"functions": [{"name": "f"}], "function_call": {"name": "g"}},
            400,
            "invalid_value",
            "function_call",
        ),
        ({"min_tokens": 9, "max_tokens": 8}, 400, "invalid_value", "min_tokens"),
        ({"stop_token_ids": [-1]}, 400, "invalid_value", "stop_token_ids"),
        ({"stop_token_ids": [10**8]}, 400, "invalid_value", "stop_token_ids"),
        ({"stop_token_ids": [1] * 65}, 400, "invalid_value", "stop_token_ids"),
        ({"ignore_eos": True, "guided_regex": "a"}, 400, "invalid_value", "ignore_eos"),
        ({"guided_regex": "("}, 400, "invalid_value", "guided_regex"),
        ({"guided_regex": "^$"}, 400, "invalid_value", "guided_regex"),
        ({"guided_choice": []}, 400, "invalid_value", "guided_choice"),
        ({"guided_choice": ["a", ""]}, 400, "invalid_value", "guided_choice"),
        ({"guided_grammar": "start: missing"}, 400, "invalid_value", "guided_grammar"),
        ({"guided_grammar": "root ::= ("}, 400, "invalid_value", "guided_grammar"),
        ({"guided_json": "{"}, 400, "invalid_type", "guided_json"),
        ({"guided_json": {"type": 5}}, 400, "invalid_value", "guided_json"),
        ({"guided_json": {}, "guided_regex": "a"}, 400, "invalid_value", "guided_regex"),
        ({"structured_outputs": {}}, 400, "invalid_value", "structured_outputs"),
        (
            {"structured_outputs": {"regex": "("}},
            400,
            "invalid_value",
            "structured_outputs.regex",
        ),
        (
            {"structured_outputs": {"structural_tag": "x"}},
            400,
            "unrecognized_request_argument",
            "structured_outputs.structural_tag",
        ),
        (
            {"chat_template_kwargs": {"enable_thinking": True}},
            400,
            "invalid_value",
            "chat_template_kwargs",
        ),
        ({"continue_final_message": True}, 400, "invalid_value", "continue_final_message"),
        ({"add_generation_prompt": False}, 400, "invalid_value", "add_generation_prompt"),
        (
            {"continue_final_message": True, "add_generation_prompt": True},
            400,
            "invalid_value",
            "continue_final_message",
        ),
        (
            {"context_length_exceeded_behavior": "cut"},
            400,
            "invalid_value",
            "context_length_exceeded_behavior",
        ),
        (
            {"max_tokens": 5000, "context_length_exceeded_behavior": "error"},
            400,
            "context_length_exceeded",
            "max_tokens",
        ),
        (
            {"max_completion_tokens": 5000, "context_length_exceeded_behavior": "error"},
            400,
            "context_length_exceeded",
            "max_completion_tokens",
        ),
    ],
)
def test_a_chat_request_is_refused(
    server_url: str, model: str, change: dict[str, Any], status: int, code: str, param: str
) -> None:
    reply = httpx.post(server_url + CHAT, json={"model": model, "messages": HELLO} | change)
    assert error_of(reply) == (status, code, param)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"prompt": ""}, "invalid_value", "prompt"),
        ({"prompt": []}, "invalid_type", "prompt"),
        ({"prompt": ["a", [1]]}, "invalid_type", "prompt"),
        ({"prompt": [-1]}, "invalid_value", "prompt"),
        ({"prompt": ["a"] * 65, "n": 2}, "invalid_value", "prompt"),
        ({"echo": True, "logprobs": 21}, "invalid_value", "logprobs"),
        ({"prompt": [5] * 3000}, "context_length_exceeded", "prompt"),
        ({"logprobs": True}, "invalid_type", "logprobs"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"best_of": 3}, "unsupported_parameter", "best_of"),
        ({"suffix": "the end"}, "unsupported_parameter", "suffix"),
        ({"messages": HELLO}, "unrecognized_request_argument", "messages"),
    ],
)
def test_a_completion_request_is_refused(
    server_url: str, model: str, change: dict[str, Any], code: str, param: str
) -> None:
    reply = httpx.post(server_url + COMPLETIONS, json={"model": model, "prompt": "Hi"} | change)
    assert error_of(reply) == (400, code, param)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_prompt_past_the_window_is_refused(server_url: str, model: str, stream: bool) -> None:
    messages = [{"role": "user", "content": "word " * 20_000}]
    reply = httpx.post(
        server_url + CHAT,
        json={"model": model, "messages": messages, "stream": stream},
        timeout=60,
    )
    assert error_of(reply) == (400, "context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"model": NaN}', "invalid_json"),
        (b'{"temperature": -Infinity}', "invalid_json"),
        (b"[1, 2]", "invalid_json"),
        (b'"text"', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"a":' * 100_000, "invalid_json"),
        (b'{"model": "\\ud800"}', "invalid_json"),
        (b'{"model": "\xff"}', "invalid_utf8"),
        ('{"model": "x"}'.encode("utf-16"), "invalid_utf8"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(server_url: str, body: bytes, code: str) -> None:
    reply = httpx.post(server_url + CHAT, content=body, headers=JSON)
    assert error_of(reply) == (400, code, None)


def test_a_number_beyond_a_float_is_out_of_range(server_url: str, model: str) -> None:
    body = json.dumps({"model": model, "messages": HELLO, "temperature": 0}).replace("0}", "1e999}")
    reply = httpx.post(server_url + CHAT, content=body, headers=JSON)
    assert error_of(reply) == (400, "invalid_value", "temperature")


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(server_url: str, model: str, missing: str) -> None:
    body = {"model": model, "messages": HELLO}
    del body[missing]
    reply = httpx.post(server_url + CHAT, json=body)
    assert error_of(reply) == (400, "missing_required_parameter", missing)


def test_a_five_megabyte_message_is_refused_by_its_size(server_url: str, model: str) -> None:
    body = {"model": model} | user("x" * 5 * MIB)
    assert error_of(httpx.post(server_url + CHAT, json=body)) == (413, "request_too_large", None)


def test_a_large_body_without_a_length_is_refused_too(server_url: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(5):
            yield b" " * MIB

    reply = httpx.post(server_url + CHAT, content=chunks(), headers=JSON)
    assert error_of(reply) == (413, "request_too_large", None)


def test_the_largest_allowed_body_is_read(serve, server_url: str) -> None:
    url = serve(ScriptedBackend(lambda request: ["fine"]), {"server.max_body_mib": 0.001})
    body = json.dumps({"model": "scripted", "messages": HELLO}).ljust(int(0.001 * MIB))
    assert httpx.post(url + CHAT, content=body, headers=JSON).status_code == 200
    assert httpx.post(url + CHAT, content=body + " ", headers=JSON).status_code == 413


def test_a_body_of_another_type_is_refused(server_url: str) -> None:
    reply = httpx.post(server_url + CHAT, data={"model": "x"})
    assert error_of(reply) == (415, "unsupported_media_type", None)


def test_what_a_message_quotes_is_cut_short(server_url: str) -> None:
    reply = httpx.post(server_url + CHAT, json={"model": "x" * MIB, "messages": HELLO})
    assert error_of(reply) == (404, "model_not_found", "model")
    assert len(reply.content) < 3000


@pytest.mark.parametrize("path", ["/v1/no/such/path", "/v1", "/v1/", "/v1/v1/nothing", "/v2/x"])
def test_an_unknown_path_is_not_found(server_url: str, path: str) -> None:
    assert error_of(httpx.get(server_url + path)) == (404, "unknown_url", None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST"),
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_answered_with_the_right_one(
    server_url: str, method: str, path: str, allowed: str
) -> None:
    reply = httpx.request(method, server_url + path)
    assert error_of(reply) == (405, "method_not_allowed", None)
    assert sorted(reply.headers["allow"].split(", ")) == sorted(allowed.split(", "))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Overloaded(7), 429, "overloaded"),
        (EngineStopped("closing"), 503, "engine_stopped"),
        (RequestFailed("no luck"), 500, "request_failed"),
        (ZeroDivisionError("a secret"), 500, "internal_error"),
    ],
)
def test_what_fails_before_the_first_word_has_its_status(
    scripted_url, error: Exception, status: int, code: str, stream: bool
) -> None:
    def script(_request):
        raise error

    body = {"model": "scripted", "messages": HELLO, "stream": stream}
    reply = httpx.post(scripted_url(script) + CHAT, json=body)
    assert error_of(reply) == (status, code, None)
    assert reply.headers.get("retry-after") == ("1" if status == 429 else None)
    assert "secret" not in reply.text


def test_gzip_body_is_refused_by_name(server_url: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    reply = httpx.post(server_url + CHAT, content=gzip.compress(b"{}"), headers=headers)
    assert error_of(reply) == (415, "unsupported_media_type", None)
    assert "gzip" in reply.json()["error"]["message"]
