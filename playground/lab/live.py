"""`LiveFigures`: what the server did in the last minutes, for whoever looks at it.

A thread reads the numbers of ``/metrics`` every few seconds; what is shown are their differences.
Nothing is counted here. Knows no page and no HTTP.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

from prometheus_client.samples import Sample

from playground.errors import PlaygroundError
from playground.lab.metrics import Metrics
from playground.protocol.json_types import JsonObject

INTERVAL_S: Final = 5.0
KEPT: Final = 181
"""Readings, a quarter of an hour of them."""
FIRST_TOKEN: Final = "vllm:time_to_first_token_seconds"
P95: Final = 0.95
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers of a moment, in seconds since the epoch: by name, summed over their labels, and
    how many first tokens came within each bucket's seconds."""

    time: float
    totals: Mapping[str, float]
    first_tokens: Mapping[float, float]

    def more(self, before: "Reading", *names: str) -> float:
        """Return by how much counts grew."""
        grown = (self.totals.get(name, 0.0) - before.totals.get(name, 0.0) for name in names)
        return max(0.0, sum(grown))


@dataclass(frozen=True, slots=True)
class Figures:
    """What was done in the seconds before ``time``, and what was there then; None for what cannot
    be said, as the time to a first token that nobody waited for. Shares are from 0 to 1, memory is
    in bytes; ``waiting`` counts those in the queue and those that wait for their client's turn.
    """

    time: float
    requests_per_second: float
    failures_per_second: float
    tokens_per_second: float
    prompt_tokens_per_second: float
    first_token_s: float | None
    first_token_p95_s: float | None
    running: float
    waiting: float
    kv_usage: float
    prefix_hit_rate: float | None
    adapters: float
    gpu_used_bytes: float
    gpu_total_bytes: float


@dataclass(frozen=True, slots=True)
class TrainingSteps:
    """A job that runs, and its steps."""

    name: str
    done: int
    total: int


class LiveFigures:
    """The figures of one server. May be used from any thread; call ``start`` to keep readings."""

    def __init__(
        self,
        metrics: Metrics,
        interval_s: float = INTERVAL_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = metrics
        self.interval_s = interval_s
        self._now = now
        self._readings: deque[Reading] = deque(maxlen=KEPT)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live figures", daemon=True)

    def start(self) -> None:
        """Begin to keep readings."""
        self._thread.start()

    def close(self) -> None:
        """Keep no more of them."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def read(self) -> None:
        """Keep the numbers of this moment."""
        self._readings.append(_reading(self._now(), self._metrics.samples()))

    def figures(self) -> list[Figures]:
        """Return the figures of the last minutes, the oldest first."""
        pairs = pairwise(list(self._readings))
        return [_figures(before, after) for before, after in pairs if after.time > before.time]

    def jobs(self) -> list[TrainingSteps]:
        """Return the jobs that run."""
        steps: dict[str, dict[str, float]] = {}
        for sample in self._metrics.job_samples():
            if sample.name == "playground_job_steps":
                found = steps.setdefault(sample.labels["name"], {})
                found[sample.labels["which"]] = sample.value
        return [
            TrainingSteps(name, int(found.get("done", 0)), int(found.get("all", 0)))
            for name, found in steps.items()
        ]

    def _run(self) -> None:
        while True:
            try:
                self.read()
            except PlaygroundError as error:
                logger.warning("no figures at this moment: %s", error.message)
            if self._ending.wait(self.interval_s):
                return


def live_object(live: LiveFigures, minutes: float | None = None) -> JsonObject:
    """Return the figures of the last minutes as JSON: a list for each of them."""
    figures: Sequence[Figures] = live.figures()
    if minutes is not None and figures:
        since = figures[-1].time - 60 * minutes
        figures = [each for each in figures if each.time > since]
    rows = [asdict(each) for each in figures]
    names = list(Figures.__dataclass_fields__)
    return {
        "object": "live_figures",
        "interval_s": live.interval_s,
        "series": {name: [row[name] for row in rows] for name in names},
        "jobs": [{"name": job.name, "done": job.done, "total": job.total} for job in live.jobs()],
    }


def _reading(moment: float, samples: Iterable[Sample]) -> Reading:
    totals: dict[str, float] = {}
    first_tokens: dict[float, float] = {}
    for sample in samples:
        if sample.name == f"{FIRST_TOKEN}_bucket":
            bound = float(sample.labels["le"])
            first_tokens[bound] = first_tokens.get(bound, 0.0) + sample.value
        else:
            totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return Reading(moment, totals, first_tokens)


def _figures(before: Reading, after: Reading) -> Figures:
    seconds = after.time - before.time
    failed = after.more(before, "playground_request_failures_total")
    ended = after.more(before, "vllm:request_success_total")
    first_tokens = after.more(before, f"{FIRST_TOKEN}_count")
    looked_up = after.more(before, "vllm:prefix_cache_queries_total")
    found = after.more(before, "vllm:prefix_cache_hits_total")
    now = after.totals
    waited = after.more(before, f"{FIRST_TOKEN}_sum")
    return Figures(
        time=after.time,
        requests_per_second=(ended + failed) / seconds,
        failures_per_second=failed / seconds,
        tokens_per_second=after.more(before, "vllm:generation_tokens_total") / seconds,
        prompt_tokens_per_second=after.more(before, "vllm:prompt_tokens_total") / seconds,
        first_token_s=waited / first_tokens if first_tokens else None,
        first_token_p95_s=_quantile(P95, before, after) if first_tokens else None,
        running=now.get("vllm:num_requests_running", 0.0),
        waiting=now.get("vllm:num_requests_waiting", 0.0)
        + now.get("playground_num_requests_waiting_turn", 0.0),
        kv_usage=now.get("vllm:kv_cache_usage_perc", 0.0),
        prefix_hit_rate=found / looked_up if looked_up else None,
        adapters=now.get("playground_adapters_resident", 0.0),
        gpu_used_bytes=now.get("playground_gpu_memory_used_bytes", 0.0),
        gpu_total_bytes=now.get("playground_gpu_memory_bytes", 0.0),
    )


def _quantile(share: float, before: Reading, after: Reading) -> float:
    """Return a quantile of the times to the first token, as Prometheus's histogram_quantile does:
    even within a bucket, and the last finite bound beyond it."""
    grown = {
        bound: count - before.first_tokens.get(bound, 0.0)
        for bound, count in sorted(after.first_tokens.items())
    }
    wanted = share * max(grown.values())
    low = below = 0.0
    for bound, count in grown.items():
        if count >= wanted:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (wanted - below) / max(count - below, 1e-12)
        low, below = bound, count
    return low
