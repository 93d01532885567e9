"""LoRA in weight space, for small bases on a CPU: each adapted layer multiplies its input with the
sum W + s·B·A instead of adding two thin products to W's.

The same function and the same gradients, up to rounding. Per token the gradient of W costs a third
more multiplications, which AMX has to spare; the thin products, their casts and sums, which move
each activation through memory several times, are gone. Knows PEFT's layers; knows no recipe.
"""

from functools import partial

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn


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
    dtype = base.weight.dtype
    up, down = layer.lora_B[adapter].weight.to(dtype), layer.lora_A[adapter].weight.to(dtype)
    weight = torch.addmm(base.weight, up, down, alpha=layer.scaling[adapter])
    return nn.functional.linear(x.to(dtype), weight, base.bias)
