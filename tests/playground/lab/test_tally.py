"""The tally finds the strengths that votes were drawn with, and says how sure it is."""

import math
import random

import pytest

from playground.lab.tally import Standing, tally
from playground.store.feedback import Contender, CountedVote

A, B, C = Contender("a"), Contender("b", "short@2"), Contender("c")


def drawn(
    strengths: dict[Contender, float], lanes: int, votes: int, seed: int
) -> list[CountedVote]:
    source = random.Random(seed)
    made = []
    for _ in range(votes):
        met = tuple(source.sample(list(strengths), lanes))
        weights = [math.exp(strengths[each]) for each in met]
        made.append(CountedVote(met, source.choices(range(lanes), weights)[0]))
    return made


def by_name(standings: tuple[Standing, ...]) -> dict[Contender, Standing]:
    return {each.contender: each for each in standings}


@pytest.mark.parametrize("lanes", [2, 3])
def test_tally_recovers_drawn_strengths(lanes: int) -> None:
    true = {A: 0.9, B: 0.1, C: -1.0}
    got = tally(drawn(true, lanes, 600, seed=1))
    assert [each.contender for each in got.standings] == [A, B, C]
    for each in got.standings:
        assert each.low < true[each.contender] < each.high
        assert each.high - each.low < 0.6


def test_two_lanes_match_their_odds() -> None:
    votes = [CountedVote((A, B), 0)] * 300 + [CountedVote((B, A), 0)] * 100
    first, second = tally(votes).standings
    assert first.strength - second.strength == pytest.approx(math.log(3), abs=0.02)


def test_interval_covers_truth_usually() -> None:
    true = {A: 0.5, B: -0.5}
    covered = 0
    for seed in range(60):
        standing = by_name(tally(drawn(true, 2, 40, seed)).standings)[A]
        covered += standing.low <= 0.5 <= standing.high
    assert 54 <= covered <= 60


def test_ties_pull_strengths_together() -> None:
    won = [CountedVote((A, B), 0)] * 6
    tied = [CountedVote((A, B), None)] * 6
    apart, near = tally(won).standings[0], tally(won + tied).standings[0]
    assert 0 < near.strength < apart.strength
    assert (near.won, near.lost, near.tied) == (6, 0, 6)


def test_one_contender_alone_wins_nothing() -> None:
    (only,) = tally([CountedVote((A, A), 1)]).standings
    assert (only.won, only.lost, only.tied, only.strength) == (0, 0, 0, 0.0)


def test_tally_is_of_one_tag() -> None:
    votes = [CountedVote((A, B), 0, ("code",)), CountedVote((A, B), 1, ("prose", "code"))]
    got = tally(votes, "prose")
    assert (got.votes, got.tags) == (1, ("code", "prose"))
    assert got.standings[0].contender == B
    assert tally([], "prose").standings == ()
