"""Writes `docs/clients.md`: what was tried with which client, and what came of it."""

from collections.abc import Iterable
from typing import Final

from clients.matrix import Outcome

HEAD: Final = """\
# Clients

Unmodified clients of others against one server with the embedded model, each scenario by name.
Written by `make test-clients`, which fails where a scenario does not end as this page says. A
reason stands here only where a client itself is at fault; the run fails once it no longer is.

The embedded model is tiny: scenarios check the form of answers, which grammars and limits
guarantee, and never what they say. Where a client has several APIs, providers or modes, the
scenario's name begins with which.
"""
LEGEND: Final = """\
## Scenarios

✓ passed, ✗ the client's own fault (below), empty: not tried, or not a thing of that client.
"""
PER_TABLE: Final = 7


def page(outcomes: list[Outcome]) -> str:
    """Return the page, in Markdown."""
    passed = sum(outcome.passed for outcome in outcomes)
    clients = list(dict.fromkeys(outcome.client for outcome in outcomes))
    parts = [
        HEAD,
        f"**{len(outcomes)} pairs tried, {passed} passed**, with {len(clients)} clients.\n",
        _summary(outcomes, clients),
        LEGEND,
    ]
    for start in range(0, len(clients), PER_TABLE):
        parts.append(_table(outcomes, clients[start : start + PER_TABLE]))
    parts.append(_faults(outcomes))
    return "\n".join(parts)


def _summary(outcomes: list[Outcome], clients: list[str]) -> str:
    lines = ["| client | version | tried | passed |", "|---|---|---|---|"]
    for client in clients:
        own = [outcome for outcome in outcomes if outcome.client == client]
        passed = sum(outcome.passed for outcome in own)
        lines.append(f"| {client} | {own[0].version} | {len(own)} | {passed} |")
    return "\n".join(lines) + "\n"


def _table(outcomes: list[Outcome], clients: list[str]) -> str:
    marks = {
        (outcome.scenario, outcome.client): "✓" if outcome.passed else "✗" for outcome in outcomes
    }
    names = list(dict.fromkeys(o.scenario for o in outcomes if o.client in clients))
    lines = [_row(["scenario", *clients]), "|---" * (len(clients) + 1) + "|"]
    lines += [
        _row([name, *(marks.get((name, client), "") for client in clients)]) for name in names
    ]
    return "\n".join(lines) + "\n"


def _faults(outcomes: list[Outcome]) -> str:
    lines = [
        f"- {outcome.client}, {outcome.scenario}: {outcome.fault or 'FAILED'}"
        for outcome in outcomes
        if not outcome.passed
    ]
    return "## The client's own fault\n\n" + "\n".join(lines or ["None."]) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
