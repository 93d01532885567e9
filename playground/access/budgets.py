"""`Budgets`: what answers of an account and of an API key may cost in a day and in a month.

What was spent is read from the usage that is kept, by today's prices: so it is counted over
restarts, by several processes, and for every model, those of other servers too. Who pays is whose
usage it is: the account, also by all of its keys, and the key; for guests, all of them together.
What a guest's address took is known to this process alone, as addresses are kept nowhere. Knows no
HTTP and no model.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from playground.access.identity import GUEST_OWNERS, current_identity
from playground.access.people import People
from playground.errors import BudgetSpent, LimitReached
from playground.protocol import Request, StreamEvent, Usage
from playground.protocol.origin import current_origin
from playground.settings import LimitSettings, UsageSettings
from playground.store.accounts import Account, ApiKey, Budget
from playground.store.usage import GroupName, UsageStore, UsageSum, WantedUsage
from playground.store.viewer import EVERYTHING, current_owner, viewed_by

Period = Literal["day", "month"]
Whose = tuple[tuple[GroupName, tuple[str, ...]], ...]
"""Columns of the usage and their values."""
SETTLED_S: Final = 600
"""After so many seconds every process has written what its answers took, and they are summed up
once (log: "A budget behind 100,000 answers")."""
MAX_KNOWN: Final = 10_000
PERIODS: Final[tuple[Period, ...]] = ("day", "month")
GUESTS: Final[Whose] = ()
"""Stands for all guests, whose owners have no column's value in common, but a beginning."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What answers took from ``begun`` up to, not including, ``until``, in seconds since the epoch;
    `Budgets.spent` adds those since then."""

    begun: int
    until: int
    usd: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose usage it is: a column of the usage and its value; ``name`` is for people."""

    name: str
    column: GroupName
    id: str
    budget: Budget

    @property
    def whose(self) -> Whose:
        """Which answers are paid for."""
        return ((self.column, (self.id,)),)

    def usd(self, period: Period) -> float | None:
        """The budget of a period, None for that of the settings."""
        return self.budget.usd_per_day if period == "day" else self.budget.usd_per_month


def describe_budget(budget: Budget, limits: LimitSettings) -> str:
    """Return what answers may cost, in words; amounts of the settings are marked as default. Empty
    where neither says anything."""
    amounts = []
    for period, own, default in (
        ("a day", budget.usd_per_day, limits.usd_per_day),
        ("a month", budget.usd_per_month, limits.usd_per_month),
    ):
        if own is not None:
            amounts.append(f"USD {own:g} {period}")
        elif default is not None:
            amounts.append(f"USD {default:g} {period} (default)")
    return ", ".join(amounts)


class _Addresses:
    """What guests' addresses took today, in USD."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._took: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, address: str, day: int, usd: float) -> None:
        """Add the cost of an answer; ``day`` is when it began, in seconds since the epoch."""
        with self._lock:
            self._took[address] = (day, self._of(address, day) + usd)
            self._took.move_to_end(address)
            while len(self._took) > MAX_KNOWN:
                self._took.popitem(last=False)

    def of(self, address: str, day: int) -> float:
        """Return what an address took that day."""
        with self._lock:
            return self._of(address, day)

    def _of(self, address: str, day: int) -> float:
        began, usd = self._took.get(address, (day, 0.0))
        return usd if began == day else 0.0


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
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Whose, Period], Spent] = OrderedDict()
        self._addresses = _Addresses()

    async def watch(
        self, request: Request, _server: str, events: AsyncGenerator[StreamEvent, None]
    ) -> AsyncGenerator[StreamEvent, None]:
        """Pass a stream on, unless whoever pays for it has spent their budget.

        Raises `BudgetSpent`, and `LimitReached` for a day's tokens, before the first event.
        """
        identity = current_identity()
        guest, used = "" if identity.signed_in else identity.client, Usage(0, 0)
        owner, key = current_owner(), current_origin().key
        try:
            async with aclosing(events) as stream:
                if guest:
                    await asyncio.to_thread(self.require_of_guest, guest)
                elif identity.payers and (identity.owner, identity.key) == (owner, key):
                    await self._require_of(*identity.payers)
                elif owner or key:
                    await asyncio.to_thread(self.require, owner, key)
                async for event in stream:
                    used = event.usage or used
                    yield event
        finally:
            if guest and used.total_tokens:
                self._addresses.add(guest, self._today(), self._usd(request.model, used))

    def require(self, owner: str, key: str) -> None:
        """Raises `BudgetSpent` if the account or the key of these ids has spent its budget, and
        `LimitReached` if it has had its tokens of the day."""
        payers = _payers(*self._people.payers(owner, key))
        if self._has_limits(payers):
            self._require(payers)

    async def _require_of(self, account: Account | None, key: ApiKey | None) -> None:
        """The same for the account and the key that were found with the request, which need not be
        looked for again; most have no limits."""
        payers = _payers(account, key)
        if self._has_limits(payers):
            await asyncio.to_thread(self._require, payers)

    def _has_limits(self, payers: Sequence[Payer]) -> bool:
        if payers and self._limits.tokens_per_day is not None:
            return True
        return any(self._most(payer, period) is not None for payer in payers for period in PERIODS)

    def _require(self, payers: Sequence[Payer]) -> None:
        limited = [(payer, period) for payer in payers for period in PERIODS
                   if self._most(payer, period) is not None]  # fmt: skip
        most_tokens = self._limits.tokens_per_day
        self._settle()
        with viewed_by(EVERYTHING):
            for payer, period in limited:
                self._check_usd(payer, period)
            if most_tokens is not None:
                self._check_tokens(payers[-1], most_tokens)

    def require_of_guest(self, address: str) -> None:
        """Raises `BudgetSpent` if the guest of this address, or all guests together, have spent
        their budget of the day."""
        most, together = self._limits.usd_per_day, self._limits.guests_usd_per_day
        if most is not None and (took := self._addresses.of(address, self._today())) >= most:
            raise self._used_up("your address", most, took, "day")
        if together is None:
            return
        self._settle()
        with viewed_by(EVERYTHING):
            spent = self.spent(GUESTS, "day").usd
        if spent >= together:
            raise self._used_up("all guests", together, spent, "day")

    def spent(self, whose: Whose, period: Period) -> Spent:
        """Return what the answers of this period took so far.

        Those of more than `SETTLED_S` ago are summed up once.
        """
        begun, settled = int(self._begun(period).timestamp()), self._settled()
        with self._lock:
            known = self._known.get((whose, period))
        if known is None or known.begun != begun:
            known = Spent(begun, begun)
        if settled - known.until >= SETTLED_S:
            known = self._with_more(known, whose, settled)
            with self._lock:
                self._known[(whose, period)] = known
                while len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)
        return self._with_more(known, whose, None)

    def _with_more(self, known: Spent, whose: Whose, until: int | None) -> Spent:
        """Add the answers up to ``until``, None for all that there are."""
        owners = GUEST_OWNERS if whose == GUESTS else ""
        wanted = WantedUsage(known.until, until, dict(whose), owners)
        found = self._usage.sums(wanted, ["model"])
        tokens = sum(each.prompt_tokens + each.completion_tokens for each in found)
        return Spent(
            known.begun,
            known.until if until is None else until,
            known.usd + sum(map(self._cost, found)),
            known.tokens + tokens,
        )

    def _settled(self) -> int:
        return int(self._now().timestamp()) - SETTLED_S

    def _most(self, payer: Payer, period: Period) -> float | None:
        """The payer's own budget, or that of the settings."""
        limits, own = self._limits, payer.usd(period)
        common = limits.usd_per_day if period == "day" else limits.usd_per_month
        return common if own is None else own

    def _check_usd(self, payer: Payer, period: Period) -> None:
        most = self._most(payer, period)
        if most is None or (spent := self.spent(payer.whose, period).usd) < most:
            return
        raise self._used_up(payer.name, most, spent, period)

    def _used_up(self, whose: str, most: float, spent: float, period: Period) -> BudgetSpent:
        until, wait_s = self._renewal(period)
        return BudgetSpent(
            f"the budget of {whose}, {_dollars(most)} a {period}, is used up "
            f"({_dollars(spent)} spent); "
            f"it is renewed {until}",
            wait_s,
        )

    def _check_tokens(self, payer: Payer, most: int) -> None:
        """An account's tokens are those of its page: each of its keys has tokens of its own."""
        whose = payer.whose
        if payer.column == "owner":
            whose = (*whose, ("key", ("",)))
        if self.spent(whose, "day").tokens < most:
            return
        until, wait_s = self._renewal("day")
        raise LimitReached(
            f"the limit of {most} tokens a day is reached; try again {until}", wait_s
        )

    def _cost(self, summed: UsageSum) -> float:
        return self._usd(str(summed.by["model"]), summed)

    def _usd(self, model: str, used: Usage | UsageSum) -> float:
        price = self._prices.price_of(model)
        return price.cost_usd(used.prompt_tokens, used.completion_tokens, used.cached_tokens)

    def _today(self) -> int:
        return int(self._begun("day").timestamp())

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
