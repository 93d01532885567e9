"""How many servers does a load need, and what do they cost?

    python -m benchmarks.fleet --users 2000 --card h100 --held-as fp8 --first-token 1
    python -m benchmarks.fleet --check        # simulator and real engine beside each other

A user asks, reads and thinks for `--think` seconds, and asks again. Printed are the fewest engines
whose 95th percentile of the time to the first token is within `--first-token`, or what `--engines`
do, and what they cost; with `--users 0` for how many users they do so.
"""

import argparse

from benchmarks.fleet.check import check
from benchmarks.fleet.costs import CARDS, SECONDS_AN_HOUR, roofline
from benchmarks.fleet.simulator import Load, Outcome, most_users, simulate, smallest_fleet

USUAL = Load(users=1000)


def told(engines: int, found: Outcome, usd_per_hour: float) -> str:
    """A line of what engines do and cost."""
    counted = f"{engines} engine{'' if engines == 1 else 's'}"
    usd = engines * usd_per_hour / SECONDS_AN_HOUR / max(found.tokens_per_second, 1e-9) * 1e6
    return (
        f"{counted}: {found.tokens_per_second:,.0f} tokens/s, first token "
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
    parser.add_argument(
        "--users",
        type=int,
        default=USUAL.users,
        help="at the same time; 0: as many as --engines serve",
    )
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
        check(flags.model, flags.seconds or 20.0)
        return
    card = CARDS[flags.card]
    costs = roofline(card, flags.held_as)
    load = Load(
        flags.users, flags.think, flags.prompt, flags.answer, turns=flags.turns,
        adapters=flags.adapters,
    )  # fmt: skip
    seconds = flags.seconds or 300.0
    if not flags.users:
        engines = flags.engines or 1
        users, found = most_users(costs, engines, load, seconds, flags.first_token)
        print(f"{users} users, {told(engines, found, card.usd_per_hour)}")
        return
    if flags.engines:
        found = simulate(costs, flags.engines, load, seconds, flags.policy)
        print(told(flags.engines, found, card.usd_per_hour))
        return
    print(told(*smallest_fleet(costs, load, seconds, flags.first_token), card.usd_per_hour))


if __name__ == "__main__":
    main()
