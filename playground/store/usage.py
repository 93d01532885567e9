"""What answers took: kept, and summed up by what they belong to. Knows the database; knows no
price and no model.

Answers beyond a number, and those older than so many days, are removed, the oldest first.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVarTuple

from sqlalchemy import ColumnElement, Select, case, delete, func, insert, select
from sqlalchemy.orm import Session

from playground.store.database import WAIT_S, Database
from playground.store.usage_tables import UsageRow

Ts = TypeVarTuple("Ts")
GroupName = Literal[
    "period", "model", "server", "adapter_hash", "owner", "key", "source", "conversation", "prompt"
]
DAY_S: Final = 86_400
KEEP_DAYS, KEEP_ANSWERS = 400, 1_000_000
CLEAN_EVERY: Final = 1000
"""Answers written between two looks for those that are too old or too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerUsage:
    """What one answer took; see `UsageRow`."""

    ended: float
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    first_token_s: float = 0.0
    total_s: float = 0.0
    running_s: float = 0.0
    finish_reason: str = "stop"
    server: str = ""
    adapter_hash: str = ""
    source: str = ""
    key: str = ""
    owner: str = ""
    conversation: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class WantedUsage:
    """Which answers: from ``start`` up to, not including, ``end``, in seconds since the epoch;
    ``only`` maps a group's name to the values that count, ``owners`` is how their owners begin."""

    start: int = 0
    end: int | None = None
    only: Mapping[GroupName, Sequence[str]] = field(default_factory=dict)
    owners: str = ""


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Answers summed up; ``by`` has the value of each group, ``decoded`` tokens behind the first
    ones in ``decode_s`` seconds."""

    by: Mapping[str, str | int]
    answers: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_s: float
    decoded: int
    decode_s: float


@dataclass(frozen=True, slots=True)
class BusyTime:
    """What this server's own model did: seconds in which at least one answer was written."""

    tokens: int
    busy_s: float


class UsageStore:
    """The usage of one home. May be used from any thread, and by several processes.

    Every call raises `DatabaseUnavailable` or `NoSpace` if the database does not take it.
    """

    def __init__(
        self,
        home: Path,
        url: str = "",
        *,
        keep_days: int = KEEP_DAYS,
        keep_answers: int = KEEP_ANSWERS,
        wait_s: float = WAIT_S,
    ) -> None:
        self._database = Database(home, url, wait_s=wait_s)
        self._keep_s = keep_days * DAY_S
        self._keep_answers = keep_answers
        self._written = 0

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(self, answers: Sequence[AnswerUsage]) -> None:
        """Keep what answers took, all or none of them."""
        rows = [asdict(each) | {"second": int(each.ended)} for each in answers]
        if not rows:
            return
        with self._database.writing() as session:
            session.execute(insert(UsageRow), rows)
            if self._written % CLEAN_EVERY + len(rows) >= CLEAN_EVERY or not self._written:
                self._remove_old(session)
        self._written += len(rows)

    def sums(
        self, wanted: WantedUsage, groups: Sequence[GroupName] = (), period_s: int = DAY_S
    ) -> list[UsageSum]:
        """Sum up the answers that the viewer may see. The group ``period`` is the second at which
        a period of ``period_s`` begins, in UTC."""
        columns = [_column(name, period_s).label(f"by_{name}") for name in groups]
        row = UsageRow
        decoded = case((row.completion_tokens > 1, row.completion_tokens - 1), else_=0)
        decode_s = case((row.completion_tokens > 1, row.total_s - row.first_token_s), else_=0.0)
        summed = select(
            func.count(row.number), func.sum(row.prompt_tokens), func.sum(row.cached_tokens),
            func.sum(row.completion_tokens), func.avg(row.first_token_s), func.sum(decoded),
            func.sum(decode_s), *columns,
        )  # fmt: skip
        summed = _narrowed(summed, wanted).group_by(*columns).order_by(*columns)
        with self._database.reading() as session:
            return [
                UsageSum(dict(zip(groups, found[7:], strict=True)), *found[:7])
                for found in session.execute(summed)
                if found[0]
            ]

    def busy(self, wanted: WantedUsage) -> BusyTime:
        """Return the time in which this server's own model wrote answers: answers of one batch
        overlap, and their time counts once."""
        row = UsageRow
        begun = row.ended - row.running_s
        before = func.max(row.ended).over(
            order_by=(begun, row.number), rows=(None, -1)
        )  # the end of everything that began earlier
        spans = _narrowed(select(begun.label("begun"), row.ended, before.label("before"),
                                 row.completion_tokens, row.prompt_tokens), wanted)  # fmt: skip
        span = spans.where(row.server == "").subquery()
        late = case((span.c.before > span.c.begun, span.c.before), else_=span.c.begun)
        own = case((span.c.ended > late, span.c.ended - late), else_=0.0)
        totals = select(func.sum(span.c.prompt_tokens + span.c.completion_tokens), func.sum(own))
        with self._database.reading() as session:
            tokens, busy_s = session.execute(totals).one()
            return BusyTime(tokens or 0, busy_s or 0.0)

    def _remove_old(self, session: Session) -> None:
        newest = select(func.max(UsageRow.number)).scalar_subquery()
        session.execute(delete(UsageRow).where(UsageRow.number <= newest - self._keep_answers))
        session.execute(delete(UsageRow).where(UsageRow.second < int(time.time()) - self._keep_s))


def _column(name: GroupName, period_s: int) -> ColumnElement[str] | ColumnElement[int]:
    if name == "period":
        return UsageRow.second - UsageRow.second % period_s
    column: ColumnElement[str] = getattr(UsageRow, name)
    return column


def _narrowed(chosen: Select[*Ts], wanted: WantedUsage) -> Select[*Ts]:
    chosen = chosen.where(UsageRow.second >= wanted.start)
    if wanted.end is not None:
        chosen = chosen.where(UsageRow.second < wanted.end)
    for name, values in wanted.only.items():
        chosen = chosen.where(_column(name, DAY_S).in_(list(values)))
    if wanted.owners:
        chosen = chosen.where(UsageRow.owner.startswith(wanted.owners, autoescape=True))
    return chosen
