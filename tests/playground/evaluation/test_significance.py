"""Paired comparison: exact for pass or fail, by permutation for scores between."""

import pytest

from playground.evaluation.significance import compare

pytestmark = pytest.mark.slow  # SciPy is imported


def test_mcnemar_counts_discordant_rows() -> None:
    found = compare([1.0] * 8 + [0.0, 1.0], [0.0] * 7 + [1.0, 1.0, 1.0])
    assert (found.better, found.worse, found.test) == (7, 1, "McNemar, exact")
    assert found.p_value == pytest.approx(18 / 256)  # 2 · (1 + 8) / 2⁸
    assert found.difference.mean == pytest.approx(0.6)


def test_permutation_compares_scores() -> None:
    first, second = [0.9, 0.8, 0.95, 0.85, 0.7, 0.9], [0.4, 0.5, 0.45, 0.3, 0.6, 0.2]
    found = compare(first, second)
    assert found.test == "paired permutation"
    assert found.p_value == pytest.approx(2 / 64)  # all six signs alike, of 2⁶
    assert found.difference.low > 0


def test_equal_scores_differ_by_chance() -> None:
    assert compare([0.5, 1.0], [0.5, 1.0]).p_value == 1
