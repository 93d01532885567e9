"""How many servers does a load need, and what do they cost?

    python -m benchmarks.fleet --users 2000 --card h100 --held-as fp8 --first-token 1
    python -m benchmarks.fleet --check        # simulator and real engine beside each other

A user asks, reads and thinks for `--think` seconds, and asks again. Printed are the fewest engines
whose 95th percentile of the time to the first token is within `--first-token`, or what `--engines`
do, and what they cost.
"""

import argparse
import asyncio

from benchmarks.fleet.costs import CARDS, SECONDS_AN_HOUR, EngineCosts, roofline
from benchmarks.fleet.measured import (
    Engine,
    Told,
    mean_of,
    measured_costs,
    put_load,
    real_outcome,
)
from benchmarks.fleet.simulator import Load, Outcome, simulate, smallest_fleet

USUAL = Load(users=1000)
CHECKED, CHECK_ROUNDS = (4, 8, 16), 4
CHECK_LOAD = {"think_s": 1.0, "prompt_tokens": 80.0, "answer_tokens": 40.0, "spread": 0.6}
ROWS = (
    ("tokens a second", "tokens_per_second", 1.0),
    ("first token, median, ms", "first_token_p50_s", 1e3),
    ("first token, p95, ms", "first_token_p95_s", 1e3),
    ("answer, mean, ms", "latency_mean_s", 1e3),
    ("between tokens, mean, ms", "token_s", 1e3),
)


async def check(model: str, seconds: float) -> None:
    """Print what simulator and engine say of the same loads.

    In rounds, in each of which the costs of steps are measured between the loads: a machine's
    speed changes within minutes.
    """
    engine = Engine(model)
    loads = [Load(users=users, turns=1, system_tokens=0, **CHECK_LOAD) for users in CHECKED]  # type: ignore[arg-type]
    seen: list[list[Told]] = [[] for _ in loads]
    measured: list[EngineCosts] = []
    try:
        for turn in range(CHECK_ROUNDS):
            for load, found in zip(loads, seen, strict=True):
                measured.append(await measured_costs(engine))
                found.extend(await put_load(engine, load, seconds, seed=turn))
    finally:
        engine.close()
    costs = mean_of(measured)
    print(f"a step: {costs.base_s * 1e3:.2f} ms, {costs.row_s * 1e6:.0f} µs a row, "
          f"{costs.context_s * 1e9:.0f} ns a token of context, "
          f"{costs.prompt_s * 1e6:.1f} µs a prompt token, "
          f"{costs.request_s * 1e3:.2f} ms a request, "
          f"{costs.path_s * 1e3:.2f} ms on its way")  # fmt: skip
    for load, found in zip(loads, seen, strict=True):
        real = real_outcome(found, seconds * CHECK_ROUNDS)
        told = simulate(costs, 1, load, seconds * 10)
        print(f"\n{load.users} users, {real.requests} answers | engine | simulator | ratio")
        for title, name, factor in ROWS:
            ours, theirs = getattr(told, name) * factor, getattr(real, name) * factor
            print(f"{title:28s} | {theirs:8.1f} | {ours:8.1f} | {ours / theirs:.2f}")


def told(engines: int, found: Outcome, usd_per_hour: float) -> str:
    """A line of what engines do and cost."""
    usd = engines * usd_per_hour / SECONDS_AN_HOUR / max(found.tokens_per_second, 1e-9) * 1e6
    return (
        f"{engines} engines: {found.tokens_per_second:,.0f} tokens/s, first token "
        f"{found.first_token_p50_s:.2f} s (p95 {found.first_token_p95_s:.2f} s, of it in the queue "
        f"{found.waited_p95_s:.2f} s), {1 / found.token_s:.0f} tokens/s an answer, "
        f"{found.rows:.0f} rows in a batch, {usd:.2f} USD a million written tokens"
    )


def main() -> None:
    """Simulate, or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--model", default="embedded", help="for --check")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="simulated; 300, and 20 to check"
    )
    parser.add_argument("--users", type=int, default=USUAL.users, help="at the same time")
    parser.add_argument("--think", type=float, default=USUAL.think_s)
    parser.add_argument("--prompt", type=float, default=USUAL.prompt_tokens)
    parser.add_argument("--answer", type=float, default=USUAL.answer_tokens)
    parser.add_argument("--turns", type=int, default=USUAL.turns)
    parser.add_argument("--adapters", type=int, default=0)
    parser.add_argument("--card", choices=[*CARDS], default="h100")
    parser.add_argument("--held-as", choices=["bf16", "fp8", "nf4"], default="fp8")
    parser.add_argument("--engines", type=int, default=0, help="0: as many as are needed")
    parser.add_argument("--first-token", type=float, default=1.0, help="seconds, 95th percentile")
    parser.add_argument(
        "--policy", choices=["affinity", "least work", "random"], default="affinity"
    )
    flags = parser.parse_args()
    if flags.check:
        asyncio.run(check(flags.model, flags.seconds or 20.0))
        return
    card = CARDS[flags.card]
    costs = roofline(card, flags.held_as)
    load = Load(
        flags.users, flags.think, flags.prompt, flags.answer, turns=flags.turns,
        adapters=flags.adapters,
    )  # fmt: skip
    seconds = flags.seconds or 300.0
    if flags.engines:
        found = simulate(costs, flags.engines, load, seconds, flags.policy)
        print(told(flags.engines, found, card.usd_per_hour))
        return
    print(told(*smallest_fleet(costs, load, seconds, flags.first_token), card.usd_per_hour))


if __name__ == "__main__":
    main()
