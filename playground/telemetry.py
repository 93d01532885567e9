"""Traces to a collector, by OTLP over HTTP. Imported only where an endpoint is set.

A collector that is down or slow costs a line in the log a minute: spans are sent by a thread of
their own, and dropped if too many wait. No global of OpenTelemetry is set.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from playground import __version__
from playground.errors import PlaygroundError
from playground.tracing import Attributes, Kind, Span

SERVICE: Final = "mistral-playground"
TRACES: Final = "/v1/traces"
EXPORT_S: Final = 3.0
"""How long one attempt to send may take, the one at the end too."""
SEND_EVERY_MS: Final = 1000
SAID_EVERY_S: Final = 60.0
MAX_EVENTS: Final = 2000
"""Of one span: the steps of a job."""
KINDS: Final = (
    ("server", SpanKind.SERVER),
    ("client", SpanKind.CLIENT),
    ("internal", SpanKind.INTERNAL),
)
logger = logging.getLogger(__name__)


class OtlpTracer:
    """A `Tracer` that sends spans to ``endpoint``, such as http://127.0.0.1:4318."""

    def __init__(self, endpoint: str, *, captures_content: bool = False) -> None:
        logging.getLogger("opentelemetry").setLevel(
            logging.CRITICAL
        )  # `QuietExporter` says it once
        resource = Resource.create({"service.name": SERVICE, "service.version": __version__})
        # What environment variables of OpenTelemetry say of sampling holds.
        self._provider = TracerProvider(
            resource=resource, span_limits=SpanLimits(max_events=MAX_EVENTS)
        )
        address = endpoint.rstrip("/").removesuffix(TRACES) + TRACES
        self._exporter = QuietExporter(OTLPSpanExporter(address, timeout=EXPORT_S), address)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, schedule_delay_millis=SEND_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("playground", __version__)
        self.captures_content = captures_content

    def root(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: Kind = "internal",
        carrier: Mapping[str, str] | None = None,
    ) -> Span:
        """Begin a span of no other here; see `playground.tracing`."""
        parent = TraceContextTextMapPropagator().extract(carrier or {}, Context())
        span = self._tracer.start_span(name, parent, dict(KINDS)[kind], dict(attributes or {}))
        return _OtelSpan(self._tracer, span)

    def close(self) -> None:
        """Send what is left; waits `EXPORT_S` for a collector that does not answer."""
        self._exporter.end()
        self._provider.shutdown()


@dataclass(frozen=True, slots=True)
class _OtelSpan:
    """A `Span` of OpenTelemetry's."""

    tracer: trace.Tracer
    span: trace.Span

    def set(self, attributes: Attributes) -> None:
        self.span.set_attributes(dict(attributes))

    def event(
        self, name: str, attributes: Attributes | None = None, time_s: float | None = None
    ) -> None:
        self.span.add_event(name, dict(attributes or {}), _nanoseconds(time_s))

    def child(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: Kind = "internal",
        start_s: float | None = None,
    ) -> Span:
        around = trace.set_span_in_context(self.span, Context())
        begun = self.tracer.start_span(
            name, around, dict(KINDS)[kind], dict(attributes or {}),
            start_time=_nanoseconds(start_s),
        )  # fmt: skip
        return _OtelSpan(self.tracer, begun)

    def fail(self, error: BaseException) -> None:
        # Messages of ours say what was asked for; others may hold anything, so their type must do.
        known = isinstance(error, PlaygroundError)
        kind = error.code if isinstance(error, PlaygroundError) else type(error).__name__
        self.span.set_attribute("error.type", kind)
        self.span.set_status(Status(StatusCode.ERROR, type(error).__name__ if known else None))

    def end(self, time_s: float | None = None) -> None:
        self.span.end(_nanoseconds(time_s))


class QuietExporter(SpanExporter):
    """An exporter that says at most once a minute that it cannot send, and that tries no second
    batch where one fails at the end.
    """

    def __init__(self, inner: SpanExporter, address: str) -> None:
        self._inner = inner
        self._address = address
        self._said = -SAID_EVERY_S
        self._is_ending = self._has_failed = False

    def end(self) -> None:
        """From now on, let the first batch that fails be the last one tried."""
        self._is_ending, self._has_failed = True, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans, or drop them."""
        if self._is_ending and self._has_failed:
            return SpanExportResult.FAILURE
        result = self._inner.export(spans)
        self._has_failed = result is not SpanExportResult.SUCCESS
        now = time.monotonic()
        if self._has_failed and now - self._said >= SAID_EVERY_S:
            self._said = now
            logger.warning("traces cannot be sent to %s; they are dropped", self._address)
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._inner.shutdown()


def _nanoseconds(time_s: float | None) -> int | None:
    return None if time_s is None else int(time_s * 1e9)
