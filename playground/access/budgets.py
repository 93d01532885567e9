"""`Budgets`: what answers of an account and of an API key may cost in a day and in a month.

What was spent is read from the usage that is kept, by today's prices: so it is counted over
restarts, by several processes, and for every model, those of other servers too. Who pays is whose
usage it is: the account, also by all of its keys, and the key. Knows no HTTP and no model.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from playground.access.people import People
from playground.errors import BudgetSpent, LimitReached
from playground.protocol import Request, StreamEvent
from playground.protocol.origin import current_origin
from playground.settings import LimitSettings, UsageSettings
from playground.store.accounts import Account, ApiKey, Budget
from playground.store.usage import GroupName, UsageStore, UsageSum, WantedUsage
from playground.store.viewer import EVERYTHING, current_owner, viewed_by

Period = Literal["day", "month"]
PERIODS: Final[tuple[Period, ...]] = ("day", "month")


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose usage it is: a column of the usage and its value; ``name`` is for people."""

    name: str
    column: GroupName
    id: str
    budget: Budget

    def usd(self, period: Period) -> float | None:
        """The budget of a period, None for that of the settings."""
        return self.budget.usd_per_day if period == "day" else self.budget.usd_per_month


class Budgets:
    """The budgets of one home. May be used from any thread's event loop.

    ``settle`` waits until answers that have ended are in ``usage``.
    """

    def __init__(
        self,
        limits: LimitSettings,
        prices: UsageSettings,
        people: People,
        usage: UsageStore,
        settle: Callable[[], object] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limits = limits
        self._prices = prices
        self._people = people
        self._usage = usage
        self._settle = settle
        self._now = now

    async def watch(
        self, _request: Request, _server: str, events: AsyncGenerator[StreamEvent, None]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Pass a stream on, unless whoever pays for it has spent their budget.

        Raises `BudgetSpent`, and `LimitReached` for a day's tokens, before the first event.
        """
        async with aclosing(events) as stream:
            owner, key = current_owner(), current_origin().key
            if owner or key:
                await asyncio.to_thread(self.require, owner, key)
            async for event in stream:
                yield event

    def require(self, owner: str, key: str) -> None:
        """Raises `BudgetSpent` if the account or the key of these ids has spent its budget, and
        `LimitReached` if it has had its tokens of the day."""
        account, api_key = self._people.payers(owner, key)
        payers = _payers(account, api_key)
        limited = [(payer, period) for payer in payers for period in PERIODS
                   if self._most(payer, period) is not None]  # fmt: skip
        most_tokens = self._limits.tokens_per_day if payers else None
        if not limited and most_tokens is None:
            return
        self._settle()
        with viewed_by(EVERYTHING):
            for payer, period in limited:
                self._check_usd(payer, period)
            if most_tokens is not None:
                self._check_tokens(payers[-1], most_tokens)

    def spent_usd(self, payer: Payer, period: Period) -> float:
        """Return what the answers of this period cost so far."""
        found = self._usage.sums(
            WantedUsage(int(self._begun(period).timestamp()), only={payer.column: [payer.id]}),
            ["model"],
        )
        return sum(map(self._cost, found))

    def _most(self, payer: Payer, period: Period) -> float | None:
        """The payer's own budget, or that of the settings."""
        limits, own = self._limits, payer.usd(period)
        common = limits.usd_per_day if period == "day" else limits.usd_per_month
        return common if own is None else own

    def _check_usd(self, payer: Payer, period: Period) -> None:
        most = self._most(payer, period)
        if most is None or (spent := self.spent_usd(payer, period)) < most:
            return
        until, wait_s = self._renewal(period)
        raise BudgetSpent(
            f"the budget of {payer.name}, {_dollars(most)} a {period}, is used up "
            f"({_dollars(spent)} spent); "
            f"it is renewed {until}",
            wait_s,
        )

    def _check_tokens(self, payer: Payer, most: int) -> None:
        """An account's tokens are those of its page: each of its keys has tokens of its own."""
        only: dict[GroupName, list[str]] = {payer.column: [payer.id]}
        if payer.column == "owner":
            only["key"] = [""]
        wanted = WantedUsage(int(self._begun("day").timestamp()), only=only)
        found = self._usage.sums(wanted)
        if sum(each.prompt_tokens + each.completion_tokens for each in found) < most:
            return
        until, wait_s = self._renewal("day")
        raise LimitReached(
            f"the limit of {most} tokens a day is reached; try again {until}", wait_s
        )

    def _cost(self, summed: UsageSum) -> float:
        price = self._prices.price_of(str(summed.by["model"]))
        return price.cost_usd(summed.prompt_tokens, summed.completion_tokens, summed.cached_tokens)

    def _begun(self, period: Period) -> datetime:
        today = self._now().replace(hour=0, minute=0, second=0, microsecond=0)
        return today if period == "day" else today.replace(day=1)

    def _renewal(self, period: Period) -> tuple[str, float]:
        """When the next period begins, for people, and in how many seconds."""
        begun = self._begun(period)
        following = begun + timedelta(days=1 if period == "day" else 32)
        if period == "month":
            following = following.replace(day=1)
        wait_s = (following - self._now()).total_seconds()
        return f"on {following:%Y-%m-%d} at 00:00 UTC", max(1.0, wait_s)


def _dollars(usd: float) -> str:
    """As money, and cents of cents as they are."""
    return f"USD {usd:.2f}" if usd >= 0.01 or not usd else f"USD {usd:.2g}"


def _payers(account: Account | None, key: ApiKey | None) -> list[Payer]:
    """Return who pays, a key last."""
    found: list[Payer] = []
    if account is not None:
        found.append(Payer(account.name, "owner", account.id, account.budget))
    if key is not None:
        found.append(Payer(f"the key {key.name}", "key", key.id, key.budget))
    return found
