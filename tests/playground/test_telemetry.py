"""Traces, as a collector gets them: by OTLP over HTTP, from the whole playground."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from playground.api.traces import route_of
from playground.errors import InvalidSettings
from playground.jobs.job import Job
from playground.jobs.kind import JobHooks
from playground.jobs.log import LOG_FILE
from playground.jobs.traced import TracedKind
from playground.lab.traces import Traces
from playground.protocol import Delta, Message, Request
from playground.settings import load_settings
from playground.telemetry import OtlpTracer, QuietExporter
from playground.tracing import part
from tests.playground.conftest import playground_process

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRET = "What is the capital of Japan?"


@dataclass(frozen=True, slots=True)
class Collector:
    """A receiver of OTLP; ``bodies`` is what it got."""

    endpoint: str
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> dict[str, Span]:
        """All spans by their names."""
        found: dict[str, Span] = {}
        for body in list(self.bodies):
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    found |= {span.name: span for span in scope.spans}
        return found


@contextmanager
def collector(status: int = 200) -> Iterator[Collector]:
    bodies: list[bytes] = []

    class Receiving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiving) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Collector(f"http://127.0.0.1:{server.server_port}", bodies)
        server.shutdown()


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    return getattr(value, str(kind))


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: plain(each.value) for each in span.attributes}


@pytest.mark.slow
def test_an_answer_is_traced(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    with collector() as received:
        with (
            playground_process(tmp_path, "--otlp-endpoint", received.endpoint) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client,
        ):
            answer = client.chat.completions.create(
                model="embedded", messages=[{"role": "user", "content": SECRET}], max_tokens=30,
                temperature=0, seed=7,
                response_format={
                    "type": "json_schema", "json_schema": {"name": "place", "schema": schema}
                },
                extra_headers={
                    "traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "request-of-mine"
                },
            )  # fmt: skip
            client.models.list()
        spans = received.spans()  # all of them: what is left is sent at the end
    request, chat = spans["POST /v1/chat/completions"], spans["chat embedded"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "playground.request_id": "request-of-mine",
    }
    assert (chat.trace_id, chat.parent_span_id) == (request.trace_id, request.span_id)
    told, usage = attributes(chat), answer.usage
    assert usage is not None
    assert told.pop("gen_ai.response.time_to_first_chunk") > 0
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_playground",
        "gen_ai.request.model": "embedded",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.max_tokens": 30,
        "gen_ai.request.seed": 7,
        "gen_ai.output.type": "json",
        "gen_ai.response.finish_reasons": [answer.choices[0].finish_reason],
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "playground.request_id": "request-of-mine",
    }
    for name in ("grammar", "queue", "prefill", "decode"):
        assert spans[name].parent_span_id == chat.span_id
        assert spans[name].start_time_unix_nano <= spans[name].end_time_unix_nano
    assert spans["queue"].end_time_unix_nano == spans["prefill"].start_time_unix_nano
    assert spans["prefill"].end_time_unix_nano == spans["decode"].start_time_unix_nano
    assert spans["GET /v1/models"].trace_id.hex() != TRACE
    assert not any(SECRET.encode() in body or b"Tokyo" in body for body in received.bodies)


async def test_content_is_traced_only_on_request() -> None:
    async def events() -> Any:
        with part("execute_tool clock", {"gen_ai.tool.name": "clock"}):
            yield Delta("Tokyo")
        raise KeyError(SECRET)

    request = Request(model="law", messages=(Message("user", SECRET),))
    for captures in (True, False):
        with collector() as received:
            with (
                closing(OtlpTracer(received.endpoint, captures_content=captures)) as tracer,
                pytest.raises(KeyError),
            ):
                async for _ in Traces(tracer).watch(request, "", events()):
                    pass
            chat = received.spans()["chat law"]
            said = attributes(chat).get("gen_ai.input.messages")
            assert attributes(chat)["error.type"] == "KeyError"
            tool = received.spans()["execute_tool clock"]
            assert tool.parent_span_id == chat.span_id
        assert (SECRET in str(said)) == captures
        assert captures or not any(SECRET.encode() in body for body in received.bodies)


class Training:
    """A kind of jobs that logs three steps."""

    name = "train"

    def run(self, job: Job, hooks: JobHooks) -> Mapping[str, object] | None:
        hooks.set_phase("training")
        lines = ({"step": n, "steps": 3, "loss": 1 / n, "time_s": time.time()} for n in (1, 2, 3))
        (job.folder / LOG_FILE).write_text("".join(json.dumps(each) + "\n" for each in lines))
        if job.name == "fails":
            raise InvalidSettings("a recipe is wrong")
        return {}


@pytest.mark.parametrize("name", ["law", "fails"])
def test_a_job_is_a_span_with_its_steps(tmp_path: Path, name: str) -> None:
    job, phases = Job(folder=tmp_path, kind="train", name=name, state="running"), list[str]()
    with collector() as received:
        with closing(OtlpTracer(received.endpoint)) as tracer:
            kind = TracedKind(Training(), tracer)  # type: ignore[arg-type]
            if name == "fails":
                with pytest.raises(InvalidSettings):
                    kind.run(job, JobHooks())
            else:
                assert kind.run(job, JobHooks(set_phase=phases.append)) == {}
        span = received.spans()["job train"]
    assert [event.name for event in span.events] == ["training", "step", "step", "step"]
    assert attributes(span.events[2]) == {"step": 2, "steps": 3, "loss": 0.5}
    told = attributes(span)
    assert told["playground.job.name"] == name
    assert told.get("error.type") == ("invalid_settings" if name == "fails" else None)
    assert phases == ([] if name == "fails" else ["training"])


@pytest.mark.slow
def test_a_collector_that_is_down_costs_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with collector() as gone:
        endpoint = gone.endpoint
    began = time.monotonic()
    with (
        caplog.at_level(logging.DEBUG, logger="playground.telemetry"),
        closing(OtlpTracer(endpoint)) as tracer,
    ):
        for _ in range(2000):
            tracer.root("chat").end()
        assert time.monotonic() - began < 5  # nobody waits for it
    assert [record.message for record in caplog.records if "opentelemetry" in record.name] == []
    (line,) = [each.message for each in caplog.records if each.name == "playground.telemetry"]
    assert line == f"traces cannot be sent to {endpoint}/v1/traces; they are dropped"


def test_nothing_more_is_tried_at_the_end() -> None:
    tried: list[int] = []

    class Failing(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            tried.append(len(spans))
            return SpanExportResult.FAILURE

    exporter = QuietExporter(Failing(), "http://collector")
    assert exporter.export(()) is exporter.export(()) is SpanExportResult.FAILURE
    exporter.end()
    assert exporter.export(()) is exporter.export(()) is SpanExportResult.FAILURE
    assert len(tried) == 3


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/files/file-0a1b2c3d4e/content", "/v1/files/{id}/content"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/fine_tuning/jobs/20261127-0102-law/events", "/v1/fine_tuning/jobs/{id}/events"),
    ],
)
def test_a_route_names_no_single_thing(path: str, route: str) -> None:
    assert route_of(path) == route


def test_an_endpoint_is_an_address() -> None:
    with pytest.raises(InvalidSettings, match=r"telemetry\.otlp_endpoint"):
        load_settings({"telemetry.otlp_endpoint": "collector:4318"})
