"""Log lines: as text or as JSON, each with the id of the request that it belongs to.

A line is one line: what a client sent, a path or a name, cannot look like another. Knows no HTTP;
`playground.api.request_log` says which request it is.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

Format = Literal["text", "json"]
FIELDS: Final = "playground_fields"
"""Attribute of a record that holds more fields of a JSON line: ``extra=fields(status=200)``."""
REQUESTS: Final = "playground.requests"
"""Logger of one line a request; they are written as JSON only."""
NOISY: Final = ("httpx", "gradio", "mistral_common")
CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))}
MULTILINE: Final = {code: shown for code, shown in CONTROLS.items() if code not in (9, 10)}
_request: ContextVar[str] = ContextVar("request", default="")


def current_request() -> str:
    """Return the id of the request that is answered here, empty without one."""
    return _request.get()


@contextmanager
def within_request(request_id: str) -> Iterator[None]:
    """Log as this request inside, in threads and tasks that are started from here, too."""
    token = _request.set(request_id)
    try:
        yield
    finally:
        _request.reset(token)


def fields(**values: object) -> Mapping[str, object]:
    """Return ``extra`` for a call that logs: the fields of the line beside its message."""
    return {FIELDS: values}


def set_up_logging(level: str, form: Format, stream: TextIO | None = None) -> None:
    """Write what is at least as severe as ``level`` to ``stream``, standard error by default."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger(REQUESTS).setLevel(logging.NOTSET if form == "json" else logging.ERROR)


class TextFormatter(logging.Formatter):
    """``LEVEL message``; lines that follow, of a traceback for example, are indented, and
    characters that a terminal would obey are spelled out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break at its end."""
        message = record.getMessage().translate(MULTILINE)
        request = f" [{current_request()}]" if current_request() else ""
        lines = f"{record.levelname}{request} {message}".splitlines()
        if record.exc_info:
            lines += self.formatException(record.exc_info).translate(MULTILINE).splitlines()
        return "\n  ".join(lines)


class JsonFormatter(logging.Formatter):
    """An object a line: ``time``, ``level``, ``logger``, ``message``, ``request_id``, ``error``
    with its traceback, and what else the record has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := current_request():
            line["request_id"] = request
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
