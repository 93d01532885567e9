"""LoRA in weight space, for small bases on a CPU: each adapted layer multiplies its input with the
sum W + s·B·A instead of adding two thin products to W's.

The same function and the same gradients, up to rounding. The thin products forward, their casts and
sums, which move each activation through memory several times, are gone.
Knows PEFT's layers; knows no recipe.
"""

from functools import partial

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx


def use_weight_space(model: nn.Module) -> int:
    """Change the forward of all LoRA layers of a model; return how many there are.

    For adapters without dropout. Layers over quantized weights stay as they are: integers packed
    for a CPU are PEFT's `Linear`, too.
    """
    layers = [
        module
        for module in model.modules()
        if isinstance(module, Linear) and module.get_base_layer().weight.is_floating_point()
    ]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    return len(layers)


def _forward(layer: Linear, x: Tensor) -> Tensor:
    (adapter,) = layer.active_adapters
    base = layer.get_base_layer()
    if layer.disable_adapters:
        return nn.functional.linear(x, base.weight, base.bias)
    down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
    product: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
        x.to(base.weight.dtype), base.weight, base.bias, down, up, layer.scaling[adapter]
    )
    return product


class _Product(Function):
    """x·(W + s·B·A)ᵀ + bias. Backward, the adapter's gradients come from thin products of x and of
    the output's gradient; through that of W they would need as many multiplications as the input's.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        base: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        scaling: float,
    ) -> Tensor:
        """The product, of shape (..., outputs)."""
        thin_up, thin_down = (up * scaling).to(base.dtype), down.to(base.dtype)
        weight = torch.addmm(base, thin_up, thin_down)
        ctx.save_for_backward(x, weight, thin_down, thin_up)
        ctx.scaling = scaling  # type: ignore[attr-defined]
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of x, A and B; the base's weight and bias have none."""
        x, weight, down, up = ctx.saved_tensors  # type: ignore[attr-defined]
        scaling: float = ctx.scaling  # type: ignore[attr-defined]
        gradient = gradient.to(weight.dtype)
        rows, inputs = gradient.flatten(0, -2), x.flatten(0, -2)
        of_down = (rows @ up).T @ inputs
        of_up = rows.T @ (inputs @ down.T)
        of_x = gradient @ weight if ctx.needs_input_grad[0] else None  # type: ignore[attr-defined]
        return of_x, None, None, of_down.float(), of_up.float() * scaling, None
