"""A server's error answers as errors of ours. Knows the shapes of error bodies; sends nothing."""

import re
from dataclasses import dataclass

from playground.backends.openai_compatible.server import RemoteServer
from playground.errors import (
    BackendBusy,
    BackendUnavailable,
    ContextOverflow,
    InvalidRequest,
    PlaygroundError,
)
from playground.protocol.json_types import JsonObject, object_at, objects_at, parse_json, text_at

LONGEST_MESSAGE = 600
OVERFLOW_CODES = ("context_length_exceeded", "exceed_context_size_error")
OVERFLOW = re.compile(r"maximum context length|exceeds? (the )?.*context size", re.IGNORECASE)
WINDOW = re.compile(r"maximum context length (?:is|of) (\d+)\b", re.IGNORECASE)
PROMPT = re.compile(
    r"\d+(?= in the (?:messages|prompt)| input tokens)|(?<=resulted in )\d+|(?<=prompt has )\d+"
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an error body says."""

    message: str
    param: str = ""
    codes: tuple[str, ...] = ()
    prompt_tokens: int = 0
    context_length: int = 0


def error_of(server: RemoteServer, status: int, body: bytes) -> PlaygroundError:
    """The error that an answer with this status means for whoever asked."""
    if 300 <= status < 400:
        problem = f"answers with a redirect ({status}), which is not followed; correct its url"
        return BackendUnavailable(server.alias, problem, status)
    if status in (401, 403):  # whose message may quote the key
        which = "the API key of the settings" if server.key else "requests without an API key"
        return BackendUnavailable(server.alias, f"does not accept {which} ({status})", status)
    told = complaint(body)
    message = server.scrubbed(told.message)[:LONGEST_MESSAGE]
    if status == 429:
        return BackendBusy(server.alias, message or "has too many requests")
    if status >= 500 and not _is_overflow(told):
        if _is_refusal(told):
            return InvalidRequest(told.param or "messages", f"{server.alias}: {message}")
        reason = message or "no reason given"
        return BackendUnavailable(server.alias, f"failed ({status}): {reason}", status)
    if status in (404, 405) and not told.codes and "model" not in message.lower():
        problem = (
            f"has no such path ({status}); is {server.root} the address of {server.kind.title}?"
        )
        return BackendUnavailable(server.alias, problem, status)
    return refusal(server, told)


def refusal(server: RemoteServer, told: Complaint) -> PlaygroundError:
    """The error of a request that the server will not answer as it is."""
    message = server.scrubbed(told.message)[:LONGEST_MESSAGE]
    if _is_overflow(told):
        window, counted = WINDOW.search(told.message), PROMPT.search(told.message)
        context = told.context_length or (int(window[1]) if window else 0)
        prompt = told.prompt_tokens or (int(counted[0]) if counted else 0)
        if 0 < context <= prompt:  # otherwise it is the answer that does not fit
            return ContextOverflow(prompt, context)
    error = InvalidRequest(told.param or "messages", f"{server.alias}: {message or 'refused'}")
    if _is_overflow(told):
        error.code = ContextOverflow.code
    return error


def complaint(body: bytes) -> Complaint:
    """Read an error body: OpenAI's, vLLM's, Mistral's, FastAPI's or Ollama's; text as it is."""
    try:
        parsed = parse_json(body)
    except ValueError:
        return Complaint(" ".join(body.decode("utf-8", "replace").split()))
    return complaint_of(parsed) if isinstance(parsed, dict) else Complaint(str(parsed))


def complaint_of(body: JsonObject) -> Complaint:
    """Read an error that came as a JSON object."""
    error = body.get("error")
    if isinstance(error, str):
        return Complaint(error)
    inner = error if isinstance(error, dict) else body
    codes = tuple(str(inner[name]) for name in ("code", "type") if inner.get(name))
    message = text_at(inner, "message") or text_at(body, "detail")
    faults = objects_at(body, "detail") or objects_at(object_at(body, "message"), "detail")
    if faults:
        location = faults[0].get("loc")
        steps = location if isinstance(location, list) else []
        param = ".".join(str(step) for step in steps if step != "body")
        return Complaint(text_at(faults[0], "msg") or message, param, codes)
    counts = {name: inner.get(name) for name in ("n_prompt_tokens", "n_ctx")}
    prompt, context = (value if isinstance(value, int) else 0 for value in counts.values())
    return Complaint(message, text_at(inner, "param"), codes, prompt, context)


def _is_overflow(told: Complaint) -> bool:
    return any(code in OVERFLOW_CODES for code in told.codes) or bool(OVERFLOW.search(told.message))


def _is_refusal(told: Complaint) -> bool:
    """llama.cpp's server answers 500 for what it does not support as it was started."""
    return "--jinja" in told.message or "not_supported_error" in told.codes
