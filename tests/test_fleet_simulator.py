"""The simulator of fleets, where the right result is known."""

from dataclasses import replace

import pytest

from benchmarks.fleet.costs import CARDS, EngineCosts, roofline
from benchmarks.fleet.measured import Told, real_outcome
from benchmarks.fleet.simulator import (
    Fleet,
    Load,
    most_users,
    own_chance,
    simulate,
    smallest_fleet,
)

COSTS = EngineCosts(base_s=0.01, row_s=0.0, context_s=0.0, prompt_s=0.001)
LOAD = Load(users=24, think_s=1.0, prompt_tokens=100, answer_tokens=20)


def test_lone_user_waits_for_nobody() -> None:
    alone = Load(1, think_s=1.0, prompt_tokens=100, answer_tokens=10, spread=0, turns=1,
                 system_tokens=0)  # fmt: skip
    found = simulate(COSTS, 1, alone, 100)
    assert found.first_token_p50_s == pytest.approx(0.01 + 100 * 0.001)
    assert found.token_s == pytest.approx(0.01)
    assert found.latency_mean_s == pytest.approx(0.11 + 9 * 0.01)
    assert found.tokens_per_second == pytest.approx(10 / (0.2 + 1.0), rel=0.1)


def test_first_step_after_a_pause_takes_longer() -> None:
    alone = Load(1, think_s=1.0, prompt_tokens=100, answer_tokens=10, spread=0, turns=1,
                 system_tokens=0)  # fmt: skip
    found = simulate(replace(COSTS, wake_s=0.03), 1, alone, 100)
    assert found.first_token_p50_s == pytest.approx(0.01 + 100 * 0.001 + 0.03)
    assert found.token_s == pytest.approx(0.01)


def test_noise_spreads_equal_answers() -> None:
    alone = Load(1, think_s=1.0, prompt_tokens=100, answer_tokens=10, spread=0, turns=1,
                 system_tokens=0)  # fmt: skip
    noisy = replace(COSTS, noise=(-0.002, -0.002, 0.004), noise_s=0.01)
    quiet, found = (simulate(costs, 1, alone, 200) for costs in (COSTS, noisy))
    assert quiet.first_token_p95_s == pytest.approx(quiet.first_token_p50_s)
    assert found.first_token_p95_s > quiet.first_token_p95_s + 0.005
    assert found.token_s == pytest.approx(quiet.token_s, rel=0.05)


def test_own_chance_asks_the_same_everywhere() -> None:
    def asked(costs: EngineCosts) -> list[tuple[int, int]]:
        fleet = Fleet(costs, 1, LOAD, chance=own_chance(3))
        fleet.run(30)
        return [(each.prompt, each.answer) for each in fleet.finished if each.user == 5][:6]

    slow = replace(COSTS, base_s=0.02)
    assert asked(COSTS) == asked(slow)
    assert len(asked(slow)) == 6


def test_engine_is_told_as_the_simulator() -> None:
    found = real_outcome([Told(0.0, 1.0, 3.0, 5), Told(1.0, 1.5, 2.0, 1)], 2.0)
    assert (found.requests, found.tokens_per_second) == (2, 3.0)
    assert (found.first_token_p50_s, found.first_token_p95_s) == (1.0, 1.0)
    assert (found.latency_mean_s, found.token_s) == (2.0, 0.5)


def test_prompts_are_computed_in_chunks() -> None:
    long = Load(1, think_s=1.0, prompt_tokens=1200, answer_tokens=2, spread=0, turns=1,
                system_tokens=0)  # fmt: skip
    assert simulate(COSTS, 1, long, 100).first_token_p50_s == pytest.approx(3 * 0.01 + 1.2)


@pytest.mark.slow
def test_more_engines_wait_less() -> None:
    waits = [simulate(COSTS, engines, LOAD, 30).first_token_p95_s for engines in (1, 2, 4)]
    assert waits == sorted(waits, reverse=True)


@pytest.mark.slow
def test_affinity_saves_prompts() -> None:
    affine, by_chance = (
        simulate(COSTS, 4, LOAD, 30, policy).first_token_p50_s for policy in ("affinity", "random")
    )
    assert affine < 0.8 * by_chance


def test_full_cache_makes_requests_wait() -> None:
    small = EngineCosts(0.01, 0.0, 0.0, 0.001, kv_tokens=600)
    assert simulate(small, 1, LOAD, 30).waited_p95_s > simulate(COSTS, 1, LOAD, 30).waited_p95_s


@pytest.mark.slow
def test_smallest_fleet_is_smallest() -> None:
    engines, found = smallest_fleet(COSTS, LOAD, 30, 0.5)
    assert found.first_token_p95_s <= 0.5
    assert engines > 1
    assert simulate(COSTS, engines - 1, LOAD, 30).first_token_p95_s > 0.5


def test_card_that_is_too_small_is_refused() -> None:
    assert roofline(CARDS["h100"], "fp8").kv_tokens > 200_000
    with pytest.raises(ValueError, match="47 GB of weights"):
        roofline(CARDS["rtx4090"], "bf16")


def test_most_users_are_the_last_served() -> None:
    load = replace(LOAD, users=1)
    users, found = most_users(COSTS, 1, load, 60, 1.0)
    assert found.first_token_p95_s <= 1.0
    assert simulate(COSTS, 1, replace(load, users=users + 8), 60).first_token_p95_s > 1.0
