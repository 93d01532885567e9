"""Is one lane better than another on the same rows? An exact test for pass or fail, a permutation
test for scores between.

Knows scores only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from playground.evaluation.metrics import Estimate, difference

PERMUTATIONS = 9_999
BATCH_VALUES = 2_000_000
"""Scores that are permuted at once: what the test takes in memory."""
Scores: TypeAlias = NDArray[np.float64]
Test = Literal["McNemar, exact", "paired permutation"]


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """``difference`` is the mean of the first minus the mean of the second, with its 95% interval;
    ``better`` and ``worse`` count rows. ``p_value`` is two-sided: how often chance alone would make
    a difference of this size; 1 if no row differs.
    """

    difference: Estimate
    better: int
    worse: int
    p_value: float
    test: Test


def compare(first: Sequence[float], second: Sequence[float]) -> PairedComparison:
    """Compare two lanes' scores of the same rows, row by row."""
    gains = [a - b for a, b in zip(first, second, strict=True)]
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    is_binary = all(value in (0.0, 1.0) for value in (*first, *second))
    test: Test = "McNemar, exact" if is_binary else "paired permutation"
    p_value = 1.0
    if better or worse:
        p_value = _mcnemar(better, worse) if is_binary else _permutation(first, second)
    return PairedComparison(difference(first, second), better, worse, p_value, test)


def _mcnemar(better: int, worse: int) -> float:
    from scipy.stats import binomtest  # SciPy takes half a second to import

    return float(binomtest(better, better + worse).pvalue)


def _permutation(first: Sequence[float], second: Sequence[float]) -> float:
    from scipy.stats import permutation_test

    def mean_gain(a: Scores, b: Scores, axis: int = -1) -> Scores:
        return np.asarray(np.mean(a - b, axis=axis))

    result = permutation_test(
        (np.asarray(first), np.asarray(second)),
        mean_gain,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=max(1, BATCH_VALUES // len(first)),
        rng=0,
    )
    return float(result.pvalue)
