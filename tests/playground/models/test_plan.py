"""The memory plan agrees with the published shape of Mistral-Small-24B."""

from pathlib import Path

import pytest
import torch

from playground.models.int_linear import IntLinear, has_int_kernels
from playground.models.loader import load
from playground.models.plan import (
    count_parameters,
    kv_bytes_per_token,
    plan,
    plan_for_config,
)
from playground.models.published_configs import mistral_small_config
from playground.models.spec import ModelSpec
from playground.settings import Quantization

GIB = 2**30


def test_24b_parameter_count() -> None:
    count = count_parameters(mistral_small_config())
    assert count.total == 23_572_403_200
    assert count.linear == 22_229_811_200


def test_24b_kv_bytes_per_token() -> None:
    assert kv_bytes_per_token(mistral_small_config(), element_bytes=2) == 163_840


@pytest.mark.slow
def test_24b_nf4_memory_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.models.plan.uses_int_weights", lambda *_: False)
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


@pytest.mark.slow
def test_24b_fits_a_24_gb_cpu() -> None:
    """4-bit integers take 4.5 bits a weight: 12.90 GiB, and a context of 32,768 below 20."""
    if not has_int_kernels():
        pytest.skip("this CPU has no integer kernels")
    integers = plan(ModelSpec("mistral-small", quantization="nf4", device="cpu"))
    assert integers.weights / GIB == pytest.approx(12.90, abs=0.01)
    assert integers.total / GIB < 20


@pytest.mark.parametrize(("tied", "counted"), [(False, 2), (True, 1)])
def test_mapped_table_is_not_counted(
    tied: bool, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the head reads all of it."""
    config = mistral_small_config()
    config.tie_word_embeddings = tied
    config.num_hidden_layers = 1
    spec, table = ModelSpec("m", precision="bf16", quantization="nf4"), 2 * 131_072 * 5_120
    sizes = []
    for integers in (True, False):
        monkeypatch.setattr("playground.models.plan.uses_int_weights", lambda *_, i=integers: i)
        sizes.append(plan_for_config(spec, config, torch.device("cpu"), 0).other_bytes // table)
    assert sizes == [1, counted]


def test_attached_adapter_is_planned() -> None:
    """92.4 million parameters of rank 16, in fp32 and twice in 16 bits."""
    assert plan(ModelSpec("mistral-small", precision="bf16")).adapter_bytes == 92_405_760 * 8


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_planned_integers_are_the_loaded(mistral_folder: Path, kind: Quantization) -> None:
    """Narrow layers are padded; so is none of a real model."""
    if not has_int_kernels():
        pytest.skip("this CPU has no integer kernels")
    spec = ModelSpec(str(mistral_folder), quantization=kind, device="cpu")
    modules = [m for m in load(spec).model.modules() if isinstance(m, IntLinear)]
    stored = sum(parameter.nbytes for m in modules for parameter in m.parameters())
    assert plan(spec).linear_bytes == pytest.approx(stored, rel=0.2)
