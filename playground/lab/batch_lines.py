"""The lines of a batch: requests read from its input file, results as OpenAI writes them.

Knows no endpoint and no answer.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from playground.protocol.json_types import Json, JsonObject
from playground.store.batches import Batch, LineResult

MAX_REQUESTS = 50_000
MAX_PROBLEMS = 100
MAX_ID = 512
FIELDS = ("custom_id", "method", "url", "body")
COUNTS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
"""Names of usage: those of chat, and those of responses, which a batch has."""


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A request in an input file; ``line`` counts from 1."""

    line: int
    custom_id: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class BatchReply:
    """What an endpoint answered."""

    status: int
    request_id: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class LineProblem:
    """Why a line is no request."""

    line: int | None
    message: str
    param: str | None = None
    code: str = "invalid_json_line"

    def body(self) -> dict[str, object]:
        """OpenAI's error object of a batch."""
        return {
            "code": self.code, "line": self.line, "message": self.message, "param": self.param,
        }  # fmt: skip


def read_lines(path: Path, endpoint: str) -> Iterator[BatchLine | LineProblem]:
    """Iterate over the requests of a file; a line that is none is a problem, an empty one nothing.

    ``method`` and ``url`` may be left out, as Together's files have it. Raises `OSError`.
    """
    with path.open("rb") as file:
        for line, data in enumerate(file, start=1):
            if data.strip():
                yield _read(line, data, endpoint)


def check_lines(path: Path, endpoint: str) -> tuple[int, list[LineProblem]]:
    """Return how many requests a file has, and its first problems. Raises `OSError`."""
    lines_by_id: dict[str, int] = {}
    problems: list[LineProblem] = []
    for entry in read_lines(path, endpoint):
        if isinstance(entry, BatchLine):
            first = lines_by_id.setdefault(entry.custom_id, entry.line)
            if first == entry.line:
                continue
            message = f"custom_id {entry.custom_id!r} is that of line {first}, too"
            entry = LineProblem(entry.line, message, "custom_id", "duplicate_custom_id")
        problems.append(entry)
        if len(problems) == MAX_PROBLEMS:
            break
    count = len(lines_by_id)
    if not problems and not count:
        problems.append(LineProblem(None, "the file has no requests", code="empty_file"))
    if count > MAX_REQUESTS:
        message = f"the file has {count} requests; {MAX_REQUESTS} at most"
        problems.insert(0, LineProblem(None, message, code="too_many_requests"))
    return count, problems


def result_of(batch: Batch, entry: BatchLine, reply: BatchReply) -> LineResult:
    """Return the line that a reply gives: of output, or of errors, which name the line."""
    ok = reply.status == 200
    response = {
        "status_code": reply.status, "request_id": reply.request_id, "body": reply.body,
    }  # fmt: skip
    line = _line(batch, entry, response=response, error=None)
    return _result(entry, line, ok=ok, usage=_usage(reply.body) if ok else {})


def unanswered(batch: Batch, entry: BatchLine, code: str, message: str) -> LineResult:
    """Return the line of a request that nothing was answered to."""
    line = _line(batch, entry, response=None, error={"code": code, "message": message})
    return _result(entry, line, ok=False)


def _line(batch: Batch, entry: BatchLine, **fields: object) -> dict[str, object]:
    digest = hashlib.sha256(f"{batch.id} {entry.line}".encode()).hexdigest()[:24]
    return {"id": f"batch_req_{digest}", "custom_id": entry.custom_id, **fields}


def _result(
    entry: BatchLine,
    line: Mapping[str, object],
    *,
    ok: bool,
    usage: Mapping[str, int] | None = None,
) -> LineResult:
    shown = line if ok else {**line, "line": entry.line}
    return LineResult(entry.line, ok, json.dumps(shown, ensure_ascii=False), usage or {})


def _usage(body: JsonObject) -> dict[str, int]:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return {}
    counts = {}
    for theirs, ours in COUNTS:
        count = usage.get(theirs, usage.get(ours))
        counts[ours] = count if isinstance(count, int) else 0
    return counts


def _read(line: int, data: bytes, endpoint: str) -> BatchLine | LineProblem:
    try:
        value: Json = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        return LineProblem(line, f"line {line} is not JSON: {error}")
    if not isinstance(value, dict):
        return LineProblem(line, f"line {line} is not a JSON object")

    def problem(param: str, text: str) -> LineProblem:
        return LineProblem(line, f"line {line}: {param} {text}", param, "invalid_request")

    for name in value:
        if name not in FIELDS:
            return problem(name, f"is unknown; a line has {', '.join(FIELDS)}")
    custom_id, body = value.get("custom_id"), value.get("body")
    if not (isinstance(custom_id, str) and 0 < len(custom_id) <= MAX_ID):
        return problem("custom_id", f"must be a text of 1 to {MAX_ID} characters")
    if value.get("method", "POST") != "POST":
        return problem("method", "must be POST")
    if value.get("url", endpoint) != endpoint:
        return problem("url", f"is not {endpoint}, the endpoint of the batch")
    if not isinstance(body, dict):
        return problem("body", "must be a JSON object, the request")
    return BatchLine(line, custom_id, body)
