"""Simulator and real engine side by side: the same questions put to both, in rounds.

The costs of a step are measured before and after each load, never on it: a machine's speed changes
within minutes. A ratio compares the two within one round.
"""

import asyncio
import statistics
from dataclasses import fields
from itertools import pairwise

from benchmarks.fleet.costs import EngineCosts
from benchmarks.fleet.measured import Engine, mean_of, measured_costs, put_load, real_outcome
from benchmarks.fleet.simulator import Load, Outcome, own_chance, simulate

USERS, ROUNDS = (4, 8, 16), 5
LOAD = {"think_s": 1.0, "prompt_tokens": 80.0, "answer_tokens": 40.0, "spread": 0.6}
ROWS = (
    ("tokens a second", "tokens_per_second", 1.0),
    ("first token, median, ms", "first_token_p50_s", 1e3),
    ("first token, p95, ms", "first_token_p95_s", 1e3),
    ("answer, mean, ms", "latency_mean_s", 1e3),
    ("between tokens, mean, ms", "token_s", 1e3),
)
Pair = tuple[Outcome, Outcome]
"""What the engine did, and what the simulator says."""


def check(model: str, seconds: float) -> None:
    """Print what both say of loads of so many seconds each."""
    loads = [Load(users=users, turns=1, system_tokens=0, **LOAD) for users in USERS]  # type: ignore[arg-type]
    measured, seen = asyncio.run(_measured(model, loads, seconds))
    pairs: list[list[Pair]] = [[] for _ in loads]
    for turn, (around, real) in enumerate(zip(pairwise(measured), seen, strict=True)):
        place, seed = turn % len(loads), turn // len(loads)
        costs = mean_of(around)
        said = simulate(costs, 1, loads[place], seconds, chance=own_chance(seed))
        pairs[place].append((real, said))
    _print_costs(mean_of(measured))
    for load, found in zip(loads, pairs, strict=True):
        _print_load(load, found)


async def _measured(
    model: str, loads: list[Load], seconds: float
) -> tuple[list[EngineCosts], list[Outcome]]:
    """Put all loads on the engine, round by round. Returns the costs before the first, between two
    and after the last, and what the engine did."""
    engine = Engine(model)
    try:
        await engine.warm()
        measured, seen = [await measured_costs(engine)], list[Outcome]()
        for turn in range(ROUNDS):
            for load in loads:
                found = await put_load(engine, load, seconds, seed=turn)
                seen.append(real_outcome(found, seconds))
                measured.append(await measured_costs(engine))
    finally:
        engine.close()
    return measured, seen


def _print_costs(costs: EngineCosts) -> None:
    shown = [
        f"{field.name.removesuffix('_s')} {1e3 * getattr(costs, field.name):.4g}"
        for field in fields(costs)
        if field.name.endswith("_s") and field.name not in ("adapter_s", "noise_s")
    ]
    print(f"ms of a step: {', '.join(shown)}, noise {1e3 * statistics.pstdev(costs.noise):.4g}")


def _print_load(load: Load, found: list[Pair]) -> None:
    """Print medians over the rounds, and how far the ratios of single rounds lie apart."""
    answers = sum(real.requests for real, _ in found)
    print(f"\n{load.users} users, {answers} answers | engine | simulator | ratio | of the rounds")
    for title, name, factor in ROWS:
        values = [tuple(getattr(each, name) * factor for each in pair) for pair in found]
        real, said = (statistics.median(column) for column in zip(*values, strict=True))
        ratios = sorted(said / real for real, said in values)
        print(
            f"{title:28s} | {real:8.1f} | {said:8.1f} | {statistics.median(ratios):.2f} | "
            f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        )
