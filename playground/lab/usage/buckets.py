"""Usage in buckets of time, one after another, as OpenAI's usage and costs have it.

Knows no HTTP.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from playground.lab.usage.meter import UsageMeter
from playground.store.usage import GroupName, UsageSum, WantedUsage


@dataclass(frozen=True, slots=True)
class Bucket:
    """The sums of one period, in seconds since the epoch; ``end`` is not part of it."""

    start: int
    end: int
    sums: list[UsageSum] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Buckets:
    """A page of buckets; ``next_start`` is where the next page begins, None at the end."""

    buckets: Sequence[Bucket]
    next_start: int | None = None


def usage_buckets(
    meter: UsageMeter,
    wanted: WantedUsage,
    groups: Sequence[GroupName],
    width_s: int,
    limit: int,
    now: Callable[[], float] = time.time,
) -> Buckets:
    """Return up to ``limit`` buckets of ``width_s`` seconds from ``wanted.start`` on, empty ones
    included; they begin at multiples of the width, in UTC."""
    end = int(now()) + 1 if wanted.end is None else wanted.end
    first = wanted.start - wanted.start % width_s
    starts = range(first, max(first, end), width_s)
    shown = starts[:limit]
    buckets = {start: Bucket(start, start + width_s) for start in shown}
    if shown:
        meter.flush()
        until = min(end, shown[-1] + width_s)
        asked = WantedUsage(wanted.start, until, wanted.only)
        for each in meter.store.sums(asked, ["period", *groups], width_s):
            buckets[int(each.by["period"])].sums.append(each)
    more = starts[limit] if len(starts) > limit else None
    return Buckets(tuple(buckets.values()), more)
