"""`playground.logs`: one line stays one line, under the id of its request."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator

import httpx
import pytest

from playground.api.request_log import REQUEST_ID, RequestLog
from playground.logs import (
    REQUESTS,
    Format,
    JsonFormatter,
    TextFormatter,
    set_up_logging,
    within_request,
)


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("here", logging.WARNING, "file", 1, message, arguments, None)


def test_a_text_line_cannot_be_forged() -> None:
    line = TextFormatter().format(record("no model %s", "x\nERROR forged\r\x1b[2J"))
    assert line == "WARNING no model x\n  ERROR forged\\x0d\\x1b[2J"


def test_a_json_line_is_one_object() -> None:
    with within_request("req_1"):
        line = JsonFormatter().format(record("no model %s", "x\n{}"))
    assert "\n" not in line
    assert {"message": "no model x\n{}", "request_id": "req_1", "level": "warning"}.items() <= (
        json.loads(line).items()
    )


@pytest.fixture
def logged() -> Iterator[Callable[[Format], io.StringIO]]:
    root, requests = logging.getLogger(), logging.getLogger(REQUESTS)
    kept, level, of_requests = root.handlers[:], root.level, requests.level

    def start(form: Format) -> io.StringIO:
        root.handlers.clear()
        stream = io.StringIO()
        set_up_logging("info", form, stream)
        return stream

    yield start
    root.handlers[:] = kept
    root.setLevel(level)
    requests.setLevel(of_requests)


async def fails(scope: object, receive: object, send: object) -> None:
    await asyncio.to_thread(logging.getLogger("deep").warning, "in a thread")
    raise RuntimeError("of ours")


async def answer(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(RequestLog(fails))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get(path)


async def test_every_line_of_a_request_has_its_id(
    logged: Callable[[Format], io.StringIO],
) -> None:
    stream = logged("json")
    reply = await answer("/v1/files?token=secret")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == [
        "in a thread", "request failed: GET /v1/files", "GET /v1/files 500",
    ]  # fmt: skip
    assert {line["request_id"] for line in lines} == {reply.headers[REQUEST_ID]}
    assert "RuntimeError: of ours" in lines[1]["error"]
    assert (lines[2]["status"], lines[2]["path"]) == (500, "/v1/files")
    assert "of ours" not in reply.text


async def test_text_has_no_line_a_request(logged: Callable[[Format], io.StringIO]) -> None:
    stream = logged("text")
    await answer("/v1/files")
    assert " 500" not in stream.getvalue()
    assert "] request failed: GET /v1/files\n  Traceback" in stream.getvalue()
