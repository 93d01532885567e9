"""Matmuls with the resident weights: one call for linear modules that read the same rows.

On a CPU oneDNN's prepacked weights are used where torch has them: up to twice as fast as `F.linear`
for few rows (docs/log.md, "Packed products, microseconds"), and with two rows or more a row's
result in fp32 does not depend on the others. They are copies: the modules' own weights stay, for
the shared-weight copy that trains. Everything else (quantized modules, GPUs) is called as it is.
Knows no layers and no adapters.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MKL_ROWS = 16
"""Row count from which a row of MKL's fp32 matmul, which `F.linear` is, does not depend on the
others, with one thread (docs/log.md, "When does a row depend on its batch? Another CPU")."""
PACKED_ROWS = {torch.float32: 2, torch.bfloat16: 4}
"""Pad the row count of packed matmuls to a multiple of this: in fp32 a single row differs from the
same among others; in bf16, 61 rows take a fifth longer than 64 (docs/log.md, "Packed products,
microseconds")."""
ROWS_HINT = 16
"""Row count for which oneDNN chooses the layout of packed weights; it serves any."""


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Say whether this build of torch and this machine have packed matmuls for ``dtype``.

    The operators are those that torch's inductor uses on a CPU (torch/_inductor/mkldnn_ir.py);
    they are not public: where they are missing, the engine is slower and nothing else.
    """
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    operators = torch.ops.mkldnn
    if not all(
        hasattr(operators, name) for name in ("_reorder_linear_weight", "_linear_pointwise")
    ):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


class PackedLinear:
    """``x @ weight.T + bias``, with the weight in oneDNN's layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS_HINT)
        self._bias = bias

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Map ``[rows, in]`` to ``[rows, out]``; ``residual`` of that shape is added."""
        matmul = torch.ops.mkldnn._linear_pointwise
        if residual is None:
            return matmul.default(x, self._weight, self._bias, "none", [], "")  # type: ignore[no-any-return]
        return matmul.binary(x, residual, self._weight, self._bias, "add")  # type: ignore[no-any-return]


class SeparateLinear:
    """Modules called one after the other, their results side by side."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = modules

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """As `PackedLinear`."""
        outputs = [module(x) for module in self._modules]
        joined = torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
        return joined if residual is None else joined + residual


Linear = PackedLinear | SeparateLinear


def join_linears(modules: Sequence[nn.Module], *, packed: bool) -> Linear:
    """Join modules that read the same rows; packed if wanted and if they are plain `nn.Linear`."""
    if not packed or any(type(module) is not nn.Linear for module in modules):
        return SeparateLinear(modules)
    weight = torch.cat([module.weight for module in modules])  # type: ignore[misc]
    bias = None
    if modules[0].bias is not None:
        bias = torch.cat([module.bias for module in modules])  # type: ignore[misc]
    return PackedLinear(weight, bias)
