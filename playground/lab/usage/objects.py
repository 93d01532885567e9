"""A usage report as JSON, for API and command alike. Knows no HTTP."""

from playground.lab.usage.report import OwnCost, UsageLine, UsageReport
from playground.protocol.json_types import JsonObject


def report_object(report: UsageReport) -> JsonObject:
    """Return the report; costs are in USD, times in seconds."""
    return {
        "object": "usage",
        "group_by": list(report.groups),
        "data": [{**line.by, **_figures(line)} for line in report.lines],
        "total": _figures(report.total),
        "left_out": report.left_out,
        "own_gpu": None if report.own is None else _own(report.own),
    }


def _figures(line: UsageLine) -> JsonObject:
    speed = line.tokens_per_second
    return {
        "answers": line.answers,
        "prompt_tokens": line.prompt_tokens,
        "cached_tokens": line.cached_tokens,
        "completion_tokens": line.completion_tokens,
        "cost_usd": round(line.cost_usd, 9),
        "first_token_s": round(line.first_token_s, 6),
        "tokens_per_second": None if speed is None else round(speed, 3),
    }


def _own(own: OwnCost) -> JsonObject:
    speed, cost = own.tokens_per_second, own.usd_per_million
    return {
        "tokens": own.tokens,
        "busy_s": round(own.busy_s, 3),
        "tokens_per_second": None if speed is None else round(speed, 3),
        "usd_per_hour": own.usd_per_hour,
        "usd_per_million_tokens": None if cost is None else round(cost, 6),
    }
