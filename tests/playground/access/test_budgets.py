"""Budgets over a real database of usage: who pays, what is counted, and when it is renewed."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from playground.access import Access, Budgets, Credentials, Identity, People, acting_as
from playground.api.errors import translate
from playground.errors import BudgetSpent, InvalidRequest, LimitReached, PlaygroundError
from playground.protocol import Delta, Message, Request, StreamEvent, Usage
from playground.settings import AccessSettings, LimitSettings, UsageSettings
from playground.store.accounts import Accounts, Budget
from playground.store.usage import AnswerUsage, UsageStore, UsageSum, WantedUsage

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
PRICES = UsageSettings.model_validate({"prices": ["m=1000000/0"]})  # a prompt token is a dollar
ASKED = Request("m", (Message("user", "Hi"),))
Made = Callable[..., Budgets]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    with closing(People(Accounts(tmp_path))) as people:
        people.add_account("ana", "user", None)
        yield people


@pytest.fixture
def made(tmp_path: Path, people: People) -> Iterator[Made]:
    """Budgets over a usage that is opened anew, as by another process."""
    with ExitStack() as stack:

        def make(now: datetime = NOON, **limits: float) -> Budgets:
            usage = stack.enter_context(closing(UsageStore(tmp_path)))
            return Budgets(LimitSettings(**limits), PRICES, people, usage, now=lambda: now)

        yield make


def spend(home: Path, dollars: int, *, owner: str = "", key: str = "", at: datetime = NOON) -> None:
    with closing(UsageStore(home)) as usage:
        usage.add([AnswerUsage(
            ended=at.timestamp(), model="m", prompt_tokens=dollars, completion_tokens=0,
            owner=owner, key=key,
        )])  # fmt: skip


def refused(budgets: Budgets, owner: str, key: str = "") -> PlaygroundError | None:
    try:
        budgets.require(owner, key)
    except LimitReached as error:
        return error
    return None


def test_a_spent_budget_is_refused(people: People, made: Made, tmp_path: Path) -> None:
    ana = people.set_budget("ana", Budget(usd_per_day=3))
    spend(tmp_path, 2, owner=ana.id)
    assert refused(made(), ana.id) is None
    spend(tmp_path, 1, owner=ana.id)
    error = refused(made(), ana.id)
    assert isinstance(error, BudgetSpent)
    assert error.message == (
        "the budget of ana, USD 3.00 a day, is used up (USD 3.00 spent); it is renewed on "
        "2026-11-28 at 00:00 UTC"
    )
    reply = translate(error)
    assert (reply.status, reply.code, reply.type) == (429, *["insufficient_quota"] * 2)
    assert reply.headers == {"Retry-After": "43200", "x-should-retry": "false"}


def test_a_day_ends_at_midnight(people: People, made: Made, tmp_path: Path) -> None:
    ana = people.set_budget("ana", Budget(usd_per_day=1))
    spend(tmp_path, 5, owner=ana.id, at=NOON.replace(day=26, hour=23))
    assert refused(made(), ana.id) is None


def test_a_month_ends_with_its_last_day(people: People, made: Made, tmp_path: Path) -> None:
    ana = people.set_budget("ana", Budget(usd_per_month=5))
    spend(tmp_path, 5, owner=ana.id, at=NOON.replace(day=1))
    error = refused(made(), ana.id)
    assert error is not None
    assert "a month, is used up (USD 5.00 spent); it is renewed on 2026-12-01" in error.message
    assert refused(made(datetime(2026, 12, 1, tzinfo=UTC)), ana.id) is None


def test_what_is_settled_is_summed_once(people: People, tmp_path: Path) -> None:
    ana = people.set_budget("ana", Budget(usd_per_day=10))
    asked: list[WantedUsage] = []
    clock = [NOON]

    class Watched(UsageStore):
        def sums(self, wanted: WantedUsage, *rest: Any) -> list[UsageSum]:
            asked.append(wanted)
            return super().sums(wanted, *rest)

    with closing(Watched(tmp_path)) as usage:
        budgets = Budgets(LimitSettings(), PRICES, people, usage, now=lambda: clock[0])
        for hour in (8, 9, 11):
            spend(tmp_path, 3, owner=ana.id, at=NOON.replace(hour=hour))
        assert refused(budgets, ana.id) is None
        spend(tmp_path, 1, owner=ana.id)
        assert refused(budgets, ana.id)
        assert asked[-1].start == int(NOON.timestamp()) - 600
        clock[0] = NOON.replace(hour=13)
        assert refused(budgets, ana.id)
        clock[0] = NOON.replace(day=28)
        assert refused(budgets, ana.id) is None


def test_the_settings_budget_holds_for_all(people: People, made: Made, tmp_path: Path) -> None:
    ana = people.account("ana")
    spend(tmp_path, 2, owner=ana.id)
    assert refused(made(usd_per_day=2), ana.id)
    people.set_budget("ana", Budget(usd_per_day=10))
    assert refused(made(usd_per_day=2), ana.id) is None


def test_a_key_pays_beside_its_account(people: People, made: Made, tmp_path: Path) -> None:
    ana = people.set_budget("ana", Budget(usd_per_day=5))
    small = people.add_key("ci", ["chat"], account="ana", budget=Budget(usd_per_day=2)).key
    spend(tmp_path, 2, owner=ana.id, key=small.id)
    error = refused(made(), ana.id, small.id)
    assert error is not None
    assert "the key ci, USD 2.00" in error.message
    assert refused(made(), ana.id) is None
    spend(tmp_path, 3, owner=ana.id)
    assert "budget of ana, USD 5.00" in str(refused(made(), ana.id, small.id))


def test_a_budget_of_nothing_lets_nothing_pass(people: People, made: Made) -> None:
    ana = people.set_budget("ana", Budget(usd_per_day=0))
    assert refused(made(), ana.id)


def test_tokens_of_a_day_are_kept(people: People, made: Made, tmp_path: Path) -> None:
    ana = people.account("ana")
    key = people.add_key("ci", ["chat"], account="ana").key
    spend(tmp_path, 20, owner=ana.id, key=key.id)
    assert "20 tokens a day" in str(refused(made(tokens_per_day=20), ana.id, key.id))
    assert refused(made(tokens_per_day=20), ana.id) is None  # the page has its own


async def test_a_stream_is_refused_before_it_begins(
    people: People, made: Made, tmp_path: Path
) -> None:
    secret = people.add_key("ci", ["chat"], budget=Budget(usd_per_day=1)).secret
    access = Access.from_settings(AccessSettings(accounts=True), people)
    identity = access.admit("GET", "/v1/models", Credentials(f"Bearer {secret}"))
    begun: list[str] = []

    async def events() -> AsyncGenerator[StreamEvent, None]:
        begun.append("asked")
        yield Delta("Hi")

    async def ask(who: Identity) -> None:
        with acting_as(who):
            async for _ in made().watch(ASKED, "", events()):
                pass

    await ask(identity)
    spend(tmp_path, 1, owner=identity.owner, key=identity.key)
    with pytest.raises(BudgetSpent, match="the key ci"):
        await ask(identity)
    await ask(replace(identity, owner="guest_1", via="visit"))
    assert len(begun) == 2


GUEST = Identity("a guest", "address:10.0.0.1", owner="guest_1", role="guest", via="visit")


async def written(budgets: Budgets, who: Identity, tokens: int = 1) -> None:
    """Have an answer written whose prompt costs a dollar a token."""

    async def events() -> AsyncGenerator[StreamEvent, None]:
        yield Delta("Hi", usage=Usage(tokens, 1))

    with acting_as(who):
        async for _ in budgets.watch(ASKED, "", events()):
            pass


async def test_an_address_has_a_budget(made: Made) -> None:
    budgets = made(usd_per_day=3)
    await written(budgets, GUEST, 2)
    await written(budgets, replace(GUEST, owner="guest_2"), 2)  # another browser there
    with pytest.raises(BudgetSpent, match=r"your address, USD 3.00 a day, is used up \(USD 4"):
        await written(budgets, GUEST)
    await written(budgets, replace(GUEST, client="address:10.0.0.2"))


async def test_an_address_begins_anew_at_midnight(people: People, tmp_path: Path) -> None:
    clock = [NOON]
    with closing(UsageStore(tmp_path)) as usage:
        limits = LimitSettings(usd_per_day=1)
        budgets = Budgets(limits, PRICES, people, usage, now=lambda: clock[0])
        await written(budgets, GUEST)
        with pytest.raises(BudgetSpent):
            await written(budgets, GUEST)
        clock[0] = NOON.replace(day=28, hour=0)
        await written(budgets, GUEST)


async def test_all_guests_have_a_budget(people: People, made: Made, tmp_path: Path) -> None:
    ana = people.account("ana")
    spend(tmp_path, 9, owner=ana.id)
    for number in range(3):
        await written(made(guests_usd_per_day=3), GUEST)
        spend(tmp_path, 1, owner=f"guest_{number}")
    with pytest.raises(BudgetSpent, match=r"all guests, USD 3.00 a day.*2026-11-28 at 00:00"):
        await written(made(guests_usd_per_day=3), GUEST)
    assert refused(made(guests_usd_per_day=3), ana.id) is None


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf")])
def test_a_budget_is_an_amount(people: People, usd: float) -> None:
    with pytest.raises(InvalidRequest, match="usd_per_day"):
        people.set_budget("ana", Budget(usd_per_day=usd))
    with pytest.raises(InvalidRequest, match="usd_per_month"):
        people.add_key("ci", ["chat"], budget=Budget(usd_per_month=usd))
