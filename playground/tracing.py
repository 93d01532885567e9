"""Spans of what is done for a request, if somebody traces: names, times and attributes.

Without a tracer a span is a look at a context variable, and nothing is imported. Where spans go is
`playground.telemetry`'s. Knows no HTTP, no model and no OpenTelemetry.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

Value = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[str, Value]
Kind = Literal["internal", "server", "client"]


class Span(Protocol):
    """Something that takes time; its children may begin and end at any time."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        ...

    def event(
        self, name: str, attributes: Attributes | None = None, time_s: float | None = None
    ) -> None:
        """Add an event, now or at a time in seconds since the epoch."""
        ...

    def child(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: Kind = "internal",
        start_s: float | None = None,
    ) -> "Span":
        """Begin a part of it, now or at a time in seconds since the epoch."""
        ...

    def fail(self, error: BaseException) -> None:
        """Say that it failed, and with what."""
        ...

    def end(self, time_s: float | None = None) -> None:
        """End it, now or at a time in seconds since the epoch."""
        ...


class Tracer(Protocol):
    """Where spans begin. ``captures_content``: they may hold what people and models wrote."""

    @property
    def captures_content(self) -> bool:
        """Whether spans may hold prompts, answers, arguments and results."""
        ...

    def root(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: Kind = "internal",
        carrier: Mapping[str, str] | None = None,
    ) -> Span:
        """Begin a span that is no part of another here; it follows the ``traceparent`` among the
        headers in ``carrier``."""
        ...


_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current_span() -> Span | None:
    """Return the span inside which this runs; None where nobody traces."""
    return _current.get()


@contextmanager
def within(span: Span | None) -> Iterator[None]:
    """Make spans that begin inside, in threads and tasks too, parts of this one."""
    token = _current.set(span)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def part(name: str, attributes: Attributes | None = None) -> Iterator[Span | None]:
    """Time what is inside as a part of the current span; yields None where nobody traces."""
    current = _current.get()
    if current is None:
        yield None
        return
    span = current.child(name, attributes)
    try:
        with within(span):
            yield span
    except BaseException as error:
        span.fail(error)
        raise
    finally:
        span.end()
