"""The memory plan agrees with the published shape of Mistral-Small-24B."""

import pytest

from playground.models.plan import count_parameters, kv_bytes_per_token, plan
from playground.models.published_configs import mistral_small_config
from playground.models.spec import ModelSpec

GIB = 2**30


def test_24b_parameter_count() -> None:
    count = count_parameters(mistral_small_config())
    assert count.total == 23_572_403_200
    assert count.linear == 22_229_811_200


def test_24b_kv_bytes_per_token() -> None:
    assert kv_bytes_per_token(mistral_small_config(), element_bytes=2) == 163_840


@pytest.mark.slow
def test_24b_nf4_memory_plan() -> None:
    nf4 = plan(ModelSpec("mistral-small", quantization="nf4"))
    assert nf4.weights / GIB == pytest.approx(13.18, abs=0.01)
    assert nf4.kv_cache / GIB == pytest.approx(5.0)


def test_plan_rows_add_up_to_total() -> None:
    *parts, (label, total) = plan(ModelSpec("mistral-small")).rows()
    assert label == "total"
    assert sum(size for _, size in parts) == total


@pytest.mark.slow
def test_largest_context_fills_available_memory() -> None:
    nf4 = plan(ModelSpec("mistral-small", quantization="nf4"))
    assert nf4.largest_context(nf4.total) == nf4.context_length
    assert nf4.largest_context(nf4.weights) == 0
