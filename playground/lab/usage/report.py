"""Usage summed up by what it belongs to, with what it costs. Knows no page and no HTTP."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from playground.errors import InvalidRequest
from playground.evaluation.temporary_names import is_temporary_name
from playground.lab.usage.meter import UsageMeter
from playground.store.usage import DAY_S, GroupName, UsageSum, WantedUsage
from playground.store.viewer import current_viewer

GROUPS: Final[Mapping[str, GroupName]] = {
    "day": "period",
    "model": "model",
    "adapter": "adapter_hash",
    "server": "server",
    "user": "owner",
    "key": "key",
    "source": "source",
    "conversation": "conversation",
    "prompt": "prompt",
}
"""What usage is grouped by, by the names that people type."""
MAX_LINES: Final = 1000
REPORT_CARDS: Final = "report cards"


@dataclass(frozen=True, slots=True)
class UsageLine:
    """The answers of one group. ``by`` names it; a day is ``2026-11-30``, in UTC.

    ``first_token_s`` is the mean; ``tokens_per_second`` is the speed of decoding of a single
    answer, None where no answer has two tokens.
    """

    by: Mapping[str, str]
    answers: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    first_token_s: float = 0.0
    decoded: int = 0
    decode_s: float = 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens behind the first one of each answer, by the time that they took."""
        return self.decoded / self.decode_s if self.decode_s > 0 and self.decoded else None

    def plus(self, other: UsageSum, cost_usd: float) -> "UsageLine":
        """Return the line with more answers of its group."""
        answers = self.answers + other.answers
        waited = self.first_token_s * self.answers + other.first_token_s * other.answers
        return replace(
            self,
            answers=answers,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=self.cost_usd + cost_usd,
            first_token_s=waited / answers,
            decoded=self.decoded + other.decoded,
            decode_s=self.decode_s + other.decode_s,
        )


@dataclass(frozen=True, slots=True)
class OwnCost:
    """What a million tokens of the resident model cost on this machine: prompt and completion
    together, by the hour's price and the speed while it answers. No price, no cost."""

    tokens: int
    busy_s: float
    usd_per_hour: float | None

    @property
    def tokens_per_second(self) -> float | None:
        """The throughput of all answers together, while at least one was written."""
        return self.tokens / self.busy_s if self.busy_s > 0 else None

    @property
    def usd_per_million(self) -> float | None:
        """USD per million tokens of a machine that is as busy all the time."""
        speed = self.tokens_per_second
        if not speed or self.usd_per_hour is None:
            return None
        return self.usd_per_hour / 3600 / speed * 1e6


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Lines by cost, the latest day first where they are by day; ``total`` is all of them together.
    ``own`` is for administrators, who see everybody's answers."""

    groups: tuple[str, ...]
    lines: tuple[UsageLine, ...]
    total: UsageLine
    own: OwnCost | None = None
    left_out: int = 0


def usage_report(
    meter: UsageMeter,
    groups: Sequence[str] = ("model",),
    wanted: WantedUsage = WantedUsage(),
    limit: int = MAX_LINES,
) -> UsageReport:
    """Sum up what the viewer may see, by ``groups`` (names of `GROUPS`).

    Raises `InvalidRequest` for a group that is none, or is named twice.
    """
    names = _groups(groups)
    meter.flush()
    lines: dict[tuple[str, ...], UsageLine] = {}
    total = UsageLine({})
    columns = [GROUPS[name] for name in names]
    priced = list(dict.fromkeys([*columns, "model"]))
    for each in meter.store.sums(wanted, priced):
        cost = cost_of(meter, each)
        by = {name: _shown(name, each.by[GROUPS[name]]) for name in names}
        key = tuple(by.values())
        lines[key] = lines.get(key, UsageLine(by)).plus(each, cost)
        total = total.plus(each, cost)
    ordered = sorted(lines.values(), key=_order)
    own = own_cost(meter, wanted) if current_viewer().sees_all else None
    return UsageReport(names, tuple(ordered[:limit]), total, own, max(0, len(ordered) - limit))


def own_cost(meter: UsageMeter, wanted: WantedUsage = WantedUsage()) -> OwnCost:
    """Return what the resident model's tokens cost on this machine."""
    busy = meter.store.busy(wanted)
    return OwnCost(busy.tokens, busy.busy_s, meter.settings.gpu_usd_per_hour)


def cost_of(meter: UsageMeter, summed: UsageSum) -> float:
    """Return the USD that answers of one model cost by today's table of prices."""
    price = meter.settings.price_of(str(summed.by["model"]))
    return price.cost_usd(summed.prompt_tokens, summed.completion_tokens, summed.cached_tokens)


def last_days(days: int) -> WantedUsage:
    """Return the answers of today and the days before it, so many in all, in UTC."""
    today = int(time.time()) // DAY_S * DAY_S
    return WantedUsage(start=max(0, today - (days - 1) * DAY_S))


def _groups(groups: Sequence[str]) -> tuple[str, ...]:
    wrong = [name for name in groups if name not in GROUPS]
    if wrong:
        raise InvalidRequest("group_by", f"{wrong[0]!r} is none of {', '.join(GROUPS)}")
    if len(set(groups)) < len(groups):
        raise InvalidRequest("group_by", "names a group twice")
    return tuple(groups)


def shown_model(model: str) -> str:
    """Return a model as usage names it: what report cards ask is served under names that only one
    card has, and is one line."""
    return REPORT_CARDS if is_temporary_name(model) else model


def _shown(name: str, value: str | int) -> str:
    if name == "day":
        return time.strftime("%Y-%m-%d", time.gmtime(int(value)))
    return shown_model(str(value)) if name == "model" else str(value)


def _order(line: UsageLine) -> tuple[float | str, ...]:
    """The latest day first, within it what costs most."""
    day = line.by.get("day", "")
    latest = -int(day.replace("-", "")) if day else 0
    return (latest, -line.cost_usd, -line.answers, *line.by.values())
