"""Errors in OpenAI's shape: the one place where our exceptions become HTTP statuses.

    {"error": {"message": …, "type": …, "param": …, "code": …}}

Before the first byte of an answer an error is an HTTP response; after it, the same body goes out
as the last server-sent event.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from playground.errors import (
    BudgetSpent,
    ContextOverflow,
    InvalidRequest,
    Kind,
    LimitReached,
    ModelLoading,
    PlaygroundError,
)

log = logging.getLogger(__name__)

INVALID, BUSY, SERVER = "invalid_request_error", "rate_limit_error", "server_error"
RETRY_AFTER_SECONDS, LOADING_RETRY_AFTER_SECONDS = 1, 5
LONGEST_MESSAGE = 2000
UNION_MEMBER = re.compile(
    r"(literal|list|dict)\[|(str|int|float|bool|[A-Z]\w*(Reference|Input|Body))$|"
    r"(NamedTool|NamedFunction|AllowedChoice|NamedFunctionChoice|AllowedFunctions)$"
)
CLIENT_CLOSED_REQUEST = 499  # nginx's word for it; nobody is left to read it

STATUS_AND_TYPE: Mapping[Kind, tuple[int, str]] = MappingProxyType(
    {
        "invalid": (400, INVALID),
        "unauthorized": (401, INVALID),
        "forbidden": (403, INVALID),
        "not_found": (404, INVALID),
        "conflict": (409, INVALID),
        "overloaded": (429, BUSY),
        "unavailable": (503, SERVER),
        "failed": (500, SERVER),
    }
)
HEADERS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": str(RETRY_AFTER_SECONDS)}}
)
CODES_OF_HTTP_ERRORS: tuple[tuple[int, str], ...] = (
    (404, "unknown_url"),
    (405, "method_not_allowed"),
)
ANTHROPIC_PATH = re.compile(r"/v1/messages(/count_tokens)?/?$")
ANTHROPIC_TYPES: tuple[tuple[int, str], ...] = (
    (401, "authentication_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (500, "api_error"),
    (503, "overloaded_error"),
)
# pydantic's kinds of fault that have a code of their own in OpenAI's API.
CODES_OF_FAULTS: tuple[tuple[str, str], ...] = (
    ("missing", "missing_required_parameter"),
    ("extra_forbidden", "unrecognized_request_argument"),
    ("literal_error", "invalid_value"),
    ("unsupported_content", "unsupported_content"),
)
OBJECT_FAULTS = ("model_type", "model_attributes_type", "dict_type")  # their texts name our classes


class Refused(PlaygroundError):
    """A request rejected for its HTTP headers or the form of its body."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error as the client receives it."""

    status: int
    type: str
    code: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        message = self.message
        if len(message) > LONGEST_MESSAGE:  # it may quote what was sent
            message = message[:LONGEST_MESSAGE] + "…"
        error = {"message": message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}

    def anthropic_body(self) -> dict[str, Any]:
        """Anthropic's error object; ``param`` and ``code`` are beside what it has."""
        error = self.body()["error"] | {"type": dict(ANTHROPIC_TYPES).get(self.status, self.type)}
        return {"type": "error", "error": error}

    def response(self, *, of_anthropic: bool = False) -> Response:
        """The error as a whole HTTP response."""
        body = self.anthropic_body() if of_anthropic else self.body()
        return JSONResponse(body, self.status, headers=dict(self.headers))


def translate(error: Exception) -> ErrorReply:
    """The reply to any exception; an unexpected one reveals nothing of the server's internals."""
    match error:
        case Refused():
            return ErrorReply(error.status, INVALID, error.code, error.message, error.param)
        case PlaygroundError():
            return _translate_ours(error)
        case RequestValidationError():  # a path begins with body, query or path
            faults = [fault | {"loc": fault["loc"][1:] or fault["loc"]} for fault in error.errors()]
            return _translate_fault(faults)
        case ValidationError():
            return _translate_fault(error.errors())
        case HTTPException():
            code = dict(CODES_OF_HTTP_ERRORS).get(error.status_code, "http_error")
            kind = INVALID if error.status_code < 500 else SERVER
            headers = error.headers or {}
            return ErrorReply(error.status_code, kind, code, str(error.detail), headers=headers)
        case _:
            message = "the server failed on this request; its log says why"
            return ErrorReply(500, SERVER, "internal_error", message)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` in OpenAI's shape."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code in (404, 405):
            method, path = request.method, request.url.path
            fault = "unknown path" if error.status_code == 404 else "method not allowed"
            detail = f"{fault}: {method} {path}"
            error = HTTPException(error.status_code, detail, error.headers)
        is_anthropic = ANTHROPIC_PATH.search(request.url.path) is not None
        return translate(error).response(of_anthropic=is_anthropic)

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    for kind in (PlaygroundError, ValidationError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, answer)  # Starlette logs it with its traceback


@contextmanager
def spelled(names: Mapping[str, str]) -> Iterator[None]:
    """Name the field of an `InvalidRequest` as the client wrote it."""
    try:
        yield
    except InvalidRequest as error:
        error.field = names.get(error.field, error.field)
        raise


def _translate_ours(error: PlaygroundError) -> ErrorReply:
    status, kind = STATUS_AND_TYPE[error.kind]
    message = error.problem if isinstance(error, ContextOverflow) else error.message
    headers = HEADERS.get(status, {})
    if isinstance(error, ModelLoading):
        headers = {"Retry-After": str(LOADING_RETRY_AFTER_SECONDS)}
    if isinstance(error, LimitReached):
        headers = {"Retry-After": str(math.ceil(error.retry_after_s))}
    if isinstance(error, BudgetSpent):  # OpenAI's clients would try again at once
        kind, headers = error.code, {**headers, "x-should-retry": "false"}
    return ErrorReply(status, kind, error.code, message, error.field, headers)


def _translate_fault(faults: Sequence[Any]) -> ErrorReply:
    """The first error that pydantic found."""
    fault = faults[0]
    param = _spell(fault["loc"])
    code = dict(CODES_OF_FAULTS).get(fault["type"], "invalid_type")
    if code == "missing_required_parameter":
        message = f"{param}: this field is required"
    elif code == "unrecognized_request_argument":
        message = f"unrecognized request argument: {param}"
    elif code == "unsupported_content":  # says what it got
        message = f"{param}: {fault['msg']}"
    else:
        of_field = (_problem(each) for each in faults if _spell(each["loc"]) == param)
        first, *others = dict.fromkeys(of_field)  # where it may be of several types
        problem = " or ".join((first, *(other.removeprefix("should be ") for other in others)))
        message = f"{param}: {problem}, not {_quote(fault['input'])}"
    return ErrorReply(400, INVALID, code, message, param)


def _problem(fault: Any) -> str:
    if fault["type"] in OBJECT_FAULTS:
        return "should be an object"
    return str(fault["msg"]).removeprefix("Input ")


def _spell(location: Sequence[int | str]) -> str:
    """``("messages", 0, "role")`` as ``messages[0].role``; without pydantic's names for the members
    of a union, which no client wrote.
    """
    written = [step for step in location if isinstance(step, int) or not UNION_MEMBER.match(step)]
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in written)
    return "".join(steps).lstrip(".")


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"
