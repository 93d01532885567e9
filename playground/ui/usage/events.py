"""What the Usage tab does: the same call as ``/v1/usage`` and ``playground usage``."""

from collections.abc import Sequence
from dataclasses import dataclass

from playground.access import People
from playground.lab.usage import UsageLine, UsageMeter, UsageReport, usage_report
from playground.lab.usage.report import last_days
from playground.settings.usage import DEFAULT_PRICE
from playground.store.conversations import Conversations
from playground.store.usage import WantedUsage
from playground.ui.components.markup import render
from playground.ui.components.status import usd
from playground.ui.usage.layout import GROUPS

SHOWN_LINES = 200


@dataclass(frozen=True, slots=True)
class ReportUpdate:
    """Another report."""

    report: str


@dataclass(frozen=True, slots=True)
class UsageHandlers:
    """The handlers; ``people`` and ``conversations`` give names to what is known by its id."""

    meter: UsageMeter
    people: People | None = None
    conversations: Conversations | None = None

    def show(self, days: int, groups: Sequence[str]) -> ReportUpdate:
        """Sum up a period."""
        wanted = last_days(days) if days else WantedUsage()
        report = usage_report(self.meter, groups, wanted, SHOWN_LINES)
        most = max((line.cost_usd for line in report.lines), default=0.0)
        heads = {name: label for label, name in GROUPS}
        names = {name: self._names(name, report) for name in report.groups}
        lines = [
            {
                "names": [names[name].get(value, value) or "–" for name, value in line.by.items()],
                "line": line,
                "share": 100 * line.cost_usd / most if most else 0,
            }
            for line in report.lines
        ]
        return ReportUpdate(
            render(
                "usage/report.html",
                heads=[heads[name] for name in report.groups],
                lines=lines,
                report=report,
                usd=usd,
                speed=_speed,
                default=DEFAULT_PRICE,
                prices=self.meter.settings.prices,
            )
        )

    def _names(self, group: str, report: UsageReport) -> dict[str, str]:
        values = {line.by[group] for line in report.lines}
        if group == "adapter":
            return {value: value[:12] for value in values}
        if group == "conversation" and self.conversations:
            return self.conversations.titles(values)
        if group == "user" and self.people:
            return {account.id: account.name for account in self.people.accounts()}
        if group == "key" and self.people:
            return {key.id: f"{key.name} ({key.hint}…)" for key in self.people.api_keys()}
        return {}


def _speed(line: UsageLine) -> str:
    speed = line.tokens_per_second
    return "–" if speed is None else f"{speed:,.1f}" if speed < 100 else f"{speed:,.0f}"
