"""The tally of votes: how often each model under each prompt won, and its Bradley-Terry strength.

A vote for the best of several answers is a choice among all of them (Luce 1959; for two, it is
Bradley-Terry 1952): it is won with a probability proportional to the exponential of the strength.
A tie counts as an equal share for each. A weak prior keeps the strength of whoever won every vote
finite. SciPy finds the maximum; intervals come from the curvature there. Knows no database.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from playground.store.feedback import Contender, CountedVote

PRIOR_DEVIATION = 2.0
"""Standard deviation of strengths before any vote, in log-odds: 95% win less than 50 to 1."""
NORMAL_95 = 1.96
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the votes say of one contender. ``strength`` is the log-odds of winning against the
    average of the tally, ``low`` and ``high`` are its 95% interval."""

    contender: Contender
    won: int
    lost: int
    tied: int
    strength: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tally:
    """All contenders, the strongest first; ``tags`` are those of all votes, whatever was asked."""

    votes: int
    standings: tuple[Standing, ...]
    tags: tuple[str, ...] = ()


def tally(votes: Sequence[CountedVote], tag: str = "") -> Tally:
    """Count the votes, or those with this tag. A vote between answers of one contender alone counts
    for nobody."""
    tags = tuple(sorted({each for vote in votes for each in vote.tags}))
    counted = [vote for vote in votes if not tag or tag in vote.tags]
    names = list(dict.fromkeys(each for vote in counted for each in vote.contenders))
    if not names:
        return Tally(len(counted), (), tags)
    strengths, deviations = _strengths(counted, names)
    standings = [
        Standing(
            name,
            *_counts(counted, name),
            strength=float(strength),
            low=float(strength - NORMAL_95 * deviation),
            high=float(strength + NORMAL_95 * deviation),
        )
        for name, strength, deviation in zip(names, strengths, deviations, strict=True)
    ]
    standings.sort(key=lambda each: (-each.strength, each.contender.model, each.contender.prompt))
    return Tally(len(counted), tuple(standings), tags)


def _counts(votes: Sequence[CountedVote], name: Contender) -> tuple[int, int, int]:
    """Votes won, lost and tied; one between the contender's own answers alone is none of them."""
    won = lost = tied = 0
    for vote in votes:
        if name not in vote.contenders or len(set(vote.contenders)) == 1:
            continue
        if vote.winner is None:
            tied += 1
        elif vote.contenders[vote.winner] == name:
            won += 1
        else:
            lost += 1
    return won, lost, tied


def _strengths(votes: Sequence[CountedVote], names: list[Contender]) -> tuple[Matrix, Matrix]:
    """Strengths with mean 0 and their standard deviations, in the order of ``names``."""
    from scipy.optimize import minimize  # SciPy takes half a second to import

    place = {name: number for number, name in enumerate(names)}
    lanes = [np.array([place[each] for each in vote.contenders]) for vote in votes]
    shares = [_shares(vote) for vote in votes]
    count = len(names)

    def loss(strengths: Matrix) -> tuple[float, Matrix]:
        value = float(strengths @ strengths) / (2 * PRIOR_DEVIATION**2)
        slope = strengths / PRIOR_DEVIATION**2
        for lane, share in zip(lanes, shares, strict=True):
            chances = _chances(strengths[lane])
            value -= float(share @ np.log(chances))
            np.add.at(slope, lane, chances - share)
        return value, slope

    found = minimize(loss, np.zeros(count), jac=True, method="BFGS").x
    curvature = np.eye(count) / PRIOR_DEVIATION**2
    for lane in lanes:
        chances = _chances(found[lane])
        np.add.at(curvature, np.ix_(lane, lane), np.diag(chances) - np.outer(chances, chances))
    centre = np.eye(count) - 1 / count
    covariance = centre @ np.linalg.inv(curvature) @ centre
    return found - found.mean(), np.sqrt(np.clip(np.diag(covariance), 0, None))


def _shares(vote: CountedVote) -> Matrix:
    lanes = len(vote.contenders)
    return np.full(lanes, 1 / lanes) if vote.winner is None else np.eye(lanes)[vote.winner]


def _chances(strengths: Matrix) -> Matrix:
    weights = np.exp(strengths - strengths.max())
    return np.asarray(weights / weights.sum())
