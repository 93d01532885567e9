"""What answers took and cost: recorded as they end, reported by what they belong to.

Knows no page and no HTTP.
"""

from playground.lab.usage.meter import UsageMeter
from playground.lab.usage.report import OwnCost, UsageLine, UsageReport, own_cost, usage_report

__all__ = ["OwnCost", "UsageLine", "UsageMeter", "UsageReport", "own_cost", "usage_report"]
