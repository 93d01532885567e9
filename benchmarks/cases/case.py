"""A request and what is right for it. Knows HTTP replies; knows no playground."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Outcome:
    """A reply, a streamed one put together: ``body`` is its JSON, ``choice`` its first choice."""

    status: int
    headers: Mapping[str, str]
    body: Any
    choice: Mapping[str, Any]

    @property
    def message(self) -> Mapping[str, Any]:
        """The assistant's message."""
        return self.choice.get("message") or {}

    @property
    def error(self) -> Mapping[str, Any]:
        """The error object; empty for a success."""
        found = self.body.get("error") if isinstance(self.body, dict) else None
        return found if isinstance(found, dict) else {}


Check = Callable[[Outcome], str]
"""Says what is wrong with an outcome; empty if nothing is."""


@dataclass(frozen=True, slots=True)
class Case:
    """``checks`` are tried in order; the first complaint counts."""

    kind: str
    name: str
    body: Any = None
    checks: Sequence[Check] = ()
    method: str = "POST"
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    def send(self, client: httpx.Client) -> Outcome:
        """Send it. A stream's pieces become one message."""
        sent: dict[str, Any] = {"headers": dict(self.headers)}
        if self.content is not None:
            sent["content"] = self.content
        elif self.body is not None:
            sent["json"] = self.body
        reply = client.request(self.method, self.path, **sent)
        if reply.headers.get("content-type", "").startswith("text/event-stream"):
            body: Any = _put_together(reply.text)
        else:
            try:
                body = reply.json()
            except ValueError:
                body = reply.text
        choices = body.get("choices") if isinstance(body, dict) else None
        choice = choices[0] if choices else {}
        return Outcome(reply.status_code, reply.headers, body, choice)


def _put_together(events: str) -> dict[str, Any]:
    """The chunks of a stream as one body; an error event is the body itself."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
    calls: dict[int, dict[str, Any]] = {}
    body: dict[str, Any] = {"choices": [choice]}
    for line in events.splitlines():
        data = line.removeprefix("data: ")
        if line == data or data == "[DONE]":
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            return {"error": chunk["error"]}
        body |= {name: chunk[name] for name in ("usage", "id", "model") if chunk.get(name)}
        for piece in chunk["choices"][:1]:
            _add_piece(choice, message, calls, piece)
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
        message["content"] = message["content"] or None
    return body


def _add_piece(
    choice: dict[str, Any],
    message: dict[str, Any],
    calls: dict[int, dict[str, Any]],
    piece: Mapping[str, Any],
) -> None:
    delta = piece.get("delta") or {"content": piece.get("text")}
    message["content"] += delta.get("content") or ""
    choice |= {name: piece[name] for name in piece if name.startswith("x_")}
    choice["finish_reason"] = piece.get("finish_reason") or choice["finish_reason"]
    for part in delta.get("tool_calls") or ():
        empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        call = calls.setdefault(part["index"], empty)
        call["id"] += part.get("id") or ""
        for name in ("name", "arguments"):
            call["function"][name] += (part.get("function") or {}).get(name) or ""


# Checks


def status(*expected: int) -> Check:
    """One of these HTTP statuses."""

    def check(got: Outcome) -> str:
        said = got.error.get("message", "")
        return "" if got.status in expected else f"status {got.status}: {said}"[:300]

    return check


def answered(got: Outcome) -> str:
    """200, with a choice that came to an end."""
    problem = status(200)(got)
    if problem or got.error:
        return problem or f"error in the stream: {got.error.get('message')}"
    reason = got.choice.get("finish_reason")
    return "" if reason in ("stop", "length", "tool_calls", "function_call") else f"ended: {reason}"


def refused(param: str, *words: str) -> Check:
    """400 that names the field as the client wrote it, and says these words."""

    def check(got: Outcome) -> str:
        error = got.error
        if got.status != 400:
            return f"status {got.status}"
        if error.get("param") != param:
            return f"param {error.get('param')!r} instead of {param!r}: {error.get('message')}"
        missing = [word for word in words if word not in str(error.get("message"))]
        return f"{missing} not in {error.get('message')!r}" if missing else ""

    return check


def ends(*reasons: str) -> Check:
    """One of these finish reasons."""

    def check(got: Outcome) -> str:
        reason = got.choice.get("finish_reason")
        return "" if reason in reasons else f"finish_reason {reason!r}: {got.message}"

    return check


def text_has(*words: str) -> Check:
    """The answer's text has these words."""

    def check(got: Outcome) -> str:
        text = got.message.get("content") or got.choice.get("text") or ""
        missing = [word for word in words if word not in text]
        return f"{missing} not in {text!r}" if missing else ""

    return check


def has_header(name: str, value: str | None = None) -> Check:
    """The reply carries this header."""

    def check(got: Outcome) -> str:
        found = got.headers.get(name)
        right = found is not None if value is None else found == value
        return "" if right else f"{name}: {found}"

    return check
