"""`playground usage`: what answers took and cost, from the database. The server need not run."""

import json
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from playground.commands.options import with_settings
from playground.lab.usage import UsageMeter, UsageReport, usage_report
from playground.lab.usage.objects import report_object
from playground.lab.usage.report import GROUPS, last_days
from playground.settings import Flags, load_settings
from playground.store.usage import UsageStore, WantedUsage


@with_settings("", "store", "usage")
def usage(
    flags: Flags,
    by: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(GROUPS)}; may be repeated.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Only today and the days before it, so many in all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most lines.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="As GET /v1/usage gives it.")] = False,
) -> None:
    """Print tokens, speed and cost of answers by model, day, key, conversation or prompt."""
    settings = load_settings(flags)
    wanted = WantedUsage() if days is None else last_days(days)
    store = UsageStore(settings.home, settings.store.url)
    with closing(UsageMeter(store, settings.usage)) as meter:
        report = usage_report(meter, by or ["model"], wanted, limit)
    if as_json:
        print(json.dumps(report_object(report), indent=1, ensure_ascii=False))
        return
    _print(report)


def _print(report: UsageReport) -> None:
    table = Table(*report.groups)
    for column in ("answers", "prompt", "cached", "completion", "first token", "tokens/s", "USD"):
        table.add_column(column, justify="right")
    for line in (*report.lines, report.total):
        speed = line.tokens_per_second
        table.add_row(
            *(line.by.get(name) or ("–" if line.by else "") for name in report.groups),
            f"{line.answers:,}",
            f"{line.prompt_tokens:,}",
            f"{line.cached_tokens:,}",
            f"{line.completion_tokens:,}",
            f"{line.first_token_s * 1000:,.0f} ms",
            "" if speed is None else f"{speed:,.1f}",
            f"{line.cost_usd:,.6f}",
            style="" if line is not report.total else "bold",
        )
    console = Console()
    console.print(table)
    if report.left_out:
        console.print(f"{report.left_out} more; --limit shows them")
    own = report.own
    if own and own.tokens_per_second:
        busy = f"{own.tokens_per_second:,.0f} tokens/s while busy ({own.busy_s:,.0f} s)"
        cost = own.usd_per_million
        price = "--gpu-usd-per-hour says what they cost"
        if cost is not None:
            price = f"${cost:,.4f} per million tokens at ${own.usd_per_hour:g} an hour"
        console.print(f"this machine: {busy}; {price}")
