"""Integer linears: their products, their gradients, and what they lose."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from playground.models.int_linear import (
    CLASSES,
    SLICE_ROWS,
    Int4Linear,
    Kind,
    fit_groups,
    has_int_kernels,
)

KINDS: tuple[Kind, ...] = ("nf4", "int8")
SHAPES = [(100, 96), (64, 128), (SLICE_ROWS + 70, 64)]
BF16_ROUNDING = 0.005

pytestmark = pytest.mark.skipif(not has_int_kernels(), reason="this CPU has no integer kernels")


def layer_of(kind: Kind, weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    outputs, inputs = weight.shape
    layer = CLASSES[kind](inputs, outputs, bias=bias is not None)
    parts = layer.quantize(weight) | ({} if bias is None else {"bias": bias})
    layer.load_state_dict(parts, assign=True)
    return layer


def dense(layer: nn.Linear) -> torch.Tensor:
    slices = range(0, layer.out_features, SLICE_ROWS)
    return torch.cat([layer.dense(begin, torch.float32) for begin in slices], dim=1).T  # type: ignore[operator]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_product_is_dequantized_product(kind: Kind, shape: tuple[int, int], rows: int) -> None:
    torch.manual_seed(0)
    bias = torch.randn(shape[0])
    layer = layer_of(kind, torch.randn(shape), bias)
    x = torch.randn(2, rows, shape[1])
    expected = x @ dense(layer).T + bias
    assert layer(x).shape == (2, rows, shape[0])
    assert relative(layer(x), expected) < BF16_ROUNDING


def test_rows_may_be_a_slice() -> None:
    layer = layer_of("nf4", torch.randn(64, 64))
    wide = torch.randn(3, 128, dtype=torch.bfloat16)
    assert torch.equal(layer(wide[:, :64]), layer(wide[:, :64].contiguous()))


@pytest.mark.parametrize(("kind", "most"), [("nf4", 0.09), ("int8", 0.012)])
def test_quantization_loses_little(kind: Kind, most: float) -> None:
    torch.manual_seed(0)
    weight = torch.randn(128, 1024) * 0.02
    assert relative(dense(layer_of(kind, weight)), weight) < most


def test_fit_beats_minimum_to_maximum() -> None:
    torch.manual_seed(0)
    groups = torch.randn(64, 16, 64)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    step = (high - low) / 15
    plain = ((groups - low) / step).round() * step + low
    integers, scales, zeros = fit_groups(groups)
    fitted = (integers - 8) * scales.float()[..., None] + zeros.float()[..., None]
    assert relative(fitted, groups) < 0.97 * relative(plain, groups)


def test_constant_weights_stay_finite() -> None:
    for value in (0.0, 3.0):
        layer = layer_of("nf4", torch.full((64, 64), value))
        assert torch.allclose(dense(layer), torch.full((64, 64), value), rtol=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [2, 40])
def test_gradient_passes_through_weights(kind: Kind, rows: int) -> None:
    torch.manual_seed(0)
    layer = layer_of(kind, torch.randn(SHAPES[-1]))
    x = torch.randn(rows, 64, requires_grad=True)
    gradient = torch.randn(rows, layer.out_features)
    layer(x).backward(gradient)
    assert x.grad is not None
    assert relative(x.grad, gradient @ dense(layer)) < 1e-5


def test_peft_adapts_integer_linear() -> None:
    torch.manual_seed(0)
    parent = nn.ModuleDict({"up": layer_of("nf4", torch.randn(64, 64))})
    inject_adapter_in_model(LoraConfig(r=4, target_modules=["up"]), parent)
    x = torch.randn(3, 64)
    base = parent["up"](x)
    assert base.requires_grad
    base.sum().backward()
    lora = parent.get_parameter("up.lora_B.default.weight")
    assert lora.grad is not None
    assert lora.grad.abs().sum() > 0
    assert isinstance(parent["up"].base_layer, Int4Linear)
