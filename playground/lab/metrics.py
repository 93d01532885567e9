"""`Metrics`: counts and durations of answers, and the engine's state, as Prometheus reads them.

Names are those of vLLM's metrics where it has them, so that dashboards made for it show this server
too; the others begin with ``playground_``. Knows no HTTP; ``watch`` sees all answers pass by.
"""

import time
from collections import Counter as Count
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from playground.errors import PlaygroundError
from playground.jobs import JobSummary
from playground.protocol import Finished, Request, StreamEvent

if TYPE_CHECKING:
    from playground.engine.stats import EngineStats

MODEL: Final = "model_name"
FIRST_TOKEN_S: Final = (
    0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
)  # fmt: skip
TOKEN_S: Final = (
    0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5,
)  # fmt: skip
ANSWER_S: Final = (0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480)
TOKENS: Final = tuple(2**power for power in range(18))
Stats = Callable[[], "EngineStats | None"]
Jobs = Callable[[], Iterable[JobSummary]]


class Metrics:
    """The metrics of one server, whose resident model is ``model``.

    ``stats`` is the engine's state, None while there is none; ``jobs`` are those it has, and
    ``turns`` counts requests that wait for their client's turn.
    """

    def __init__(
        self, model: str, stats: Stats, jobs: Jobs, turns: Callable[[], int] = lambda: 0
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._engine, self._jobs = _EngineState(model, stats, turns), _JobState(jobs)
        self._registry.register(self._engine)
        self._registry.register(self._jobs)
        self._prompt_tokens = self._counter("vllm:prompt_tokens", "Prompt tokens", MODEL)
        self._tokens = self._counter("vllm:generation_tokens", "Tokens of answers", MODEL)
        self._ended = self._counter(
            "vllm:request_success", "Answers by how they ended", MODEL, "finished_reason"
        )
        self._failed = self._counter(
            "playground_request_failures", "Requests that failed, by the error's code", "code"
        )
        self._first_token = self._histogram(
            "vllm:time_to_first_token_seconds", "From arrival to the first token", FIRST_TOKEN_S
        )
        self._between = self._histogram(
            "vllm:inter_token_latency_seconds", "Between two tokens of an answer", TOKEN_S
        )
        self._whole = self._histogram(
            "vllm:e2e_request_latency_seconds", "From arrival to the end of an answer", ANSWER_S
        )
        self._queued = self._histogram(
            "vllm:request_queue_time_seconds", "From arrival to a place in the batch", ANSWER_S
        )
        self._prompt_length = self._histogram(
            "vllm:request_prompt_tokens", "Prompt tokens of a request", TOKENS
        )
        self._length = self._histogram(
            "vllm:request_generation_tokens", "Tokens of an answer", TOKENS
        )

    async def watch(
        self, request: Request, _server: str, events: AsyncGenerator[StreamEvent, None]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Pass a stream on, and measure it. Other servers' models have their alias in the name."""
        last_s, tokens = 0.0, 0
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    if isinstance(event, Finished):
                        self._count(request.model, event)
                    elif event.usage and (new := event.usage.completion_tokens - tokens) > 0:
                        now = time.monotonic()
                        if last_s:  # a piece may have several tokens
                            for _ in range(new):
                                self._between.labels(request.model).observe((now - last_s) / new)
                        last_s, tokens = now, event.usage.completion_tokens
                    yield event
        except PlaygroundError as error:
            self._failed.labels(error.code).inc()
            raise

    def text(self) -> bytes:
        """All of them in Prometheus's text format, version 0.0.4."""
        return generate_latest(self._registry)

    def samples(self) -> Iterator[Sample]:
        """Read counts, durations and the engine, of ``/metrics`` what takes no file to know."""
        own = (self._prompt_tokens, self._tokens, self._ended, self._failed, self._first_token)
        for collector in (self._engine, *own):
            for family in collector.collect():
                yield from family.samples

    def job_samples(self) -> Iterator[Sample]:
        """Read the jobs, whose files are looked at."""
        for family in self._jobs.collect():
            yield from family.samples

    def _count(self, model: str, event: Finished) -> None:
        used, timings = event.usage, event.timings
        self._ended.labels(model, event.finish_reason).inc()
        self._prompt_tokens.labels(model).inc(used.prompt_tokens)
        self._tokens.labels(model).inc(used.completion_tokens)
        self._prompt_length.labels(model).observe(used.prompt_tokens)
        self._length.labels(model).observe(used.completion_tokens)
        self._queued.labels(model).observe(timings.queued_s)
        self._whole.labels(model).observe(timings.total_s)
        if used.completion_tokens:
            self._first_token.labels(model).observe(timings.first_token_s)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self._registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, about, (MODEL,), registry=self._registry, buckets=buckets)


class _JobState(Collector):
    """The jobs, read at the moment that somebody asks."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        """Count them, and read how far the running ones are."""
        jobs = list(self._jobs())
        states = Count((job.kind, job.state) for job in jobs)
        counted = GaugeMetricFamily("playground_jobs", "Jobs by state", labels=("kind", "state"))
        for names, number in states.items():
            counted.add_metric(names, number)
        yield counted
        steps = GaugeMetricFamily(
            "playground_job_steps", "Steps of running jobs", labels=("name", "which")
        )
        for job in jobs:
            if job.state == "running":
                steps.add_metric((job.name, "done"), job.progress.done)
                steps.add_metric((job.name, "all"), job.progress.total)
        yield steps


class _EngineState(Collector):
    """The engine and the line before it, read at the moment that somebody asks."""

    def __init__(self, model: str, stats: Stats, turns: Callable[[], int]) -> None:
        self._model = model
        self._stats = stats
        self._turns = turns

    def collect(self) -> Iterator[Metric]:
        """Read them; an engine that is not there yet has no figures."""
        waiting = GaugeMetricFamily(
            "playground_num_requests_waiting_turn", "Requests that wait for their client's turn"
        )
        waiting.add_metric((), self._turns())
        yield waiting
        if stats := self._stats():
            yield from self._engine(stats)

    def _engine(self, stats: "EngineStats") -> Iterator[Metric]:
        share = stats.cache_tokens / stats.cache_capacity if stats.cache_capacity else 0.0
        for name, about, value in (
            ("vllm:num_requests_running", "Requests in the batch", stats.running),
            ("vllm:num_requests_waiting", "Requests in the queue", stats.waiting),
            ("vllm:kv_cache_usage_perc", "Keys and values in use, from 0 to 1", share),
            ("playground_adapters_resident", "Adapter versions in memory", stats.adapters),
            ("playground_gpu_memory_used_bytes", "GPU memory in use", stats.gpu_used_bytes),
            ("playground_gpu_memory_bytes", "GPU memory in all", stats.gpu_total_bytes),
        ):
            gauge = GaugeMetricFamily(name, about, labels=(MODEL,))
            gauge.add_metric((self._model,), value)
            yield gauge
        for name, about, value in (
            ("vllm:prefix_cache_queries", "Prompt tokens looked for", stats.prompt_tokens),
            ("vllm:prefix_cache_hits", "Prompt tokens found", stats.cached_tokens),
            ("vllm:num_preemptions", "Answers that were computed again", stats.preemptions),
            ("playground_adapter_loads", "Adapter versions put in memory", stats.adapter_loads),
        ):
            counter = CounterMetricFamily(name, about, labels=(MODEL,))
            counter.add_metric((self._model,), value)
            yield counter
