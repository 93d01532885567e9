"""The mean of adapters."""

import pytest
import torch

from recipes.smollm2.average import mean_of


@pytest.mark.parametrize(("weights", "wanted"), [([1, 1], 2.0), ([3, 1], 1.5), ([0.7, 0.3], 1.6)])
def test_weights_share_the_mean(weights: list[float], wanted: float) -> None:
    ones, threes = ({"a": torch.full((2, 3), value)} for value in (1.0, 3.0))
    mean = mean_of([ones, threes], weights)["a"]
    assert mean.dtype == torch.bfloat16
    assert torch.allclose(mean.float(), torch.full((2, 3), wanted), atol=0.01)
