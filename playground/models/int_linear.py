"""Linear modules with 4- and 8-bit integer weights, computed by torch's own kernels on a CPU.

``Int4Linear``: ``w = (q - 8) * scale + zero`` with ``q`` in 0 … 15, scale and zero per group of 64
(or 32) inputs. ``Int8Linear``: ``w = q * scale``, per output row. Few rows go through the fused
operators, which are about as fast as the memory with bf16 rows and very slow with fp32 ones; more
rows, and gradients, through weights dequantized slice by slice (docs/log.md, "Integer weights on a
CPU"). The operators are those of torch's inductor (torch/_inductor/quantized_lowerings.py); they
are not public, and `has_int_kernels` says whether they are there. Weights are frozen; gradients
pass through to the rows.

Knows no files and no model class.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from playground.models.config import has_fast_bf16
from playground.settings import Quantization

GROUPS = (64, 32)
"""Inputs that share a scale, the first that divides their number; 4.5 bits a weight with 64."""
KERNEL_GROUPS = (32, 64, 128, 256)
"""Groups that the kernel has; longer ones are taken where weights are stored so."""
ROW_BLOCK = 64
"""Output rows are padded to a multiple, of which every CPU's packed layout is made."""
MAX_FUSED_ROWS = 32
"""More rows are faster through dequantized weights."""
SLICE_ROWS = 2048
"""Output rows that are dequantized at once."""
RANGE_KEPT = 0.95
"""Fraction of a group's range that 4-bit integers begin with, before the fit."""
FIT_ROWS = 64
"""Rows that are fitted at once: what they take stays in the CPU's cache."""

Kind = Literal["nf4", "int8"]
"""The setting that asks for it: 4 bits are called after bitsandbytes' form, which GPUs use."""


@cache
def has_int_kernels() -> bool:
    """Say whether torch has fast kernels for integer weights on this CPU (AVX2 or AVX-512)."""
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    names = ("_convert_weight_to_int4pack_for_cpu", "_weight_int4pack_mm_for_cpu")
    has_operators = all(hasattr(torch.ops.aten, name) for name in names)
    return has_operators and hasattr(torch, "_weight_int8pack_mm") and _block_rows() > 0


@cache
def _block_rows() -> int:
    """Return how many output rows the packed 4-bit layout holds together; 0 if it is not known.

    Bytes of a block are ``[inputs, rows / 2]``, the low half of a byte from the block's first half
    of rows and the high half from its second. Found by packing the rows' own numbers.
    """
    numbers = torch.arange(ROW_BLOCK, dtype=torch.int32)
    digits = torch.stack((numbers % 16, numbers // 16), dim=1)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(digits, 1)
    for rows in (64, 32):
        halves = _unpack(packed, rows)  # [inputs, ROW_BLOCK]
        if torch.equal(halves[0].int() + 16 * halves[1].int(), numbers):
            return rows
    return 0


def uses_int_weights(quantization: Quantization, device: torch.device) -> bool:
    """Say whether a model on this device gets integer weights; bitsandbytes' otherwise."""
    return device.type == "cpu" and quantization != "none" and has_int_kernels()


def packed_layout() -> str:
    """Name what this CPU's packed weights depend on: others cannot be read as they are."""
    return f"{torch.backends.cpu.get_cpu_capability()}-{_block_rows()}"


def group_of(in_features: int) -> int:
    """Return how many inputs share a scale of 4-bit weights; 0 if none fits their number."""
    return next((group for group in GROUPS if in_features % group == 0), 0)


def usable_group(in_features: int, group_size: int) -> int:
    """Return ``group_size`` if the kernel has groups of this size and they divide the inputs;
    what `group_of` says otherwise.
    """
    is_usable = group_size in KERNEL_GROUPS and in_features % group_size == 0
    return group_size if is_usable else group_of(in_features)


def _unpack(packed: Tensor, block_rows: int) -> Tensor:
    """Turn packed weights ``[rows, inputs / 2]`` into integers ``[inputs, rows]``, uint8."""
    rows, inputs = packed.shape[0], 2 * packed.shape[1]
    blocks = packed.view(rows // block_rows, inputs, block_rows // 2).transpose(0, 1)
    halves = torch.empty(
        (inputs, rows // block_rows, 2, block_rows // 2), dtype=torch.uint8, device=packed.device
    )
    torch.bitwise_and(blocks, 15, out=halves[:, :, 0])
    torch.bitwise_right_shift(blocks, 4, out=halves[:, :, 1])
    return halves.view(inputs, rows)


class IntLinear(nn.Linear):
    """A frozen linear layer with integer weights.

    A subclass of `nn.Linear`, so that PEFT finds it; ``weight`` is not a matrix of numbers that
    could be multiplied. Made empty; `load_state_dict(assign=True)` brings what `quantize` returned.
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool) -> None:
        nn.Module.__init__(self)
        self.in_features = in_features
        self.out_features = out_features
        self.bias = _frozen(torch.empty(out_features)) if bias else None  # type: ignore[assignment]

    def quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """Return the parameters for a matrix ``[out, in]``, by name."""
        raise NotImplementedError

    def fused(self, x: Tensor) -> Tensor:
        """Map contiguous bf16 ``[rows, in]`` to ``[rows, out]``, without the bias."""
        raise NotImplementedError

    def dense(self, begin: int, dtype: torch.dtype) -> Tensor:
        """Return the weights of up to ``SLICE_ROWS`` outputs from ``begin`` on, ``[in, rows]``."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """Map ``[..., in]`` to ``[..., out]`` in the dtype of the input."""
        rows = input.reshape(-1, self.in_features)
        output: Tensor = _Matmul.apply(rows, self)  # type: ignore[no-untyped-call]
        if self.bias is not None:
            output = output + self.bias
        return output.view(*input.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Return the sizes for printing."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


class Int4Linear(IntLinear):
    """4-bit weights; ``scales_and_zeros`` is bf16 ``[in / group, padded out, 2]``.

    ``group_size`` is of `KERNEL_GROUPS`; `group_of` says it where it is none of these.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool, group_size: int = 0
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        padded = -(-out_features // ROW_BLOCK) * ROW_BLOCK
        self.group = usable_group(in_features, group_size)
        self.weight = _frozen(torch.empty(padded, in_features // 2, dtype=torch.uint8))
        self.scales_and_zeros = _frozen(
            torch.empty(in_features // self.group, padded, 2, dtype=torch.bfloat16)
        )

    def quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """See `IntLinear`."""
        integers, scales, zeros = [], [], []
        for rows in torch.split(weight, FIT_ROWS):
            fitted = fit_groups(rows.float().view(len(rows), -1, self.group))
            integers.append(fitted[0].flatten(1).to(torch.uint8))
            scales.append(fitted[1])
            zeros.append(fitted[2])
        return self.from_integers(torch.cat(integers), torch.cat(scales), torch.cat(zeros))

    def from_integers(self, integers: Tensor, scales: Tensor, zeros: Tensor) -> dict[str, Tensor]:
        """Return the parameters for integers 0 … 15 ``[out, in]``, by name.

        ``scales`` and ``zeros`` are ``[out, in / group]``, and are rounded to bf16.
        """
        padding = (0, 0, 0, -len(integers) % ROW_BLOCK)
        packed = [
            torch.ops.aten._convert_weight_to_int4pack_for_cpu(rows.to(torch.int32), 1)
            for rows in torch.split(nn.functional.pad(integers, padding), FIT_ROWS)
        ]
        both = torch.stack((scales, zeros), dim=-1).to(torch.bfloat16)
        padded = nn.functional.pad(both, (0, 0, *padding))
        return {
            "weight": torch.cat(packed),
            "scales_and_zeros": padded.transpose(0, 1).contiguous(),
        }

    def fused(self, x: Tensor) -> Tensor:
        """See `IntLinear`."""
        output: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x, self.weight, self.group, self.scales_and_zeros
        )
        return output[:, : self.out_features]

    def dense(self, begin: int, dtype: torch.dtype) -> Tensor:
        """See `IntLinear`."""
        integers = _unpack(self.weight[begin : begin + SLICE_ROWS], _block_rows())
        by_group = integers.view(-1, self.group, integers.shape[1]).to(dtype)
        both = self.scales_and_zeros[:, begin : begin + SLICE_ROWS]
        scales = both[:, None, :, 0].to(dtype, copy=True, memory_format=torch.contiguous_format)
        zeros = both[:, None, :, 1].to(dtype)
        weights = by_group.sub_(8).mul_(scales).add_(zeros)
        return weights.view(self.in_features, -1)[:, : self.out_features - begin]


class Int8Linear(IntLinear):
    """8-bit weights ``[out, in]``; ``scales`` is bf16 ``[out]``."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.weight = _frozen(torch.empty(out_features, in_features, dtype=torch.int8))
        self.scales = _frozen(torch.empty(out_features, dtype=torch.bfloat16))

    def quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """See `IntLinear`."""
        values = weight.float()
        scales = (values.abs().amax(dim=1) / 127).clamp_min(1e-12).to(torch.bfloat16)
        integers = (values / scales.float()[:, None]).round().clamp(-127, 127)
        return {"weight": integers.to(torch.int8), "scales": scales}

    def fused(self, x: Tensor) -> Tensor:
        """See `IntLinear`."""
        return torch._weight_int8pack_mm(x, self.weight, self.scales)

    def dense(self, begin: int, dtype: torch.dtype) -> Tensor:
        """See `IntLinear`."""
        rows = slice(begin, begin + SLICE_ROWS)
        return self.weight[rows].to(dtype).mul_(self.scales[rows, None].to(dtype)).T


CLASSES: Mapping[Kind, type[IntLinear]] = MappingProxyType({"nf4": Int4Linear, "int8": Int8Linear})


def fit_groups(groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return integers 0 … 15, bf16 scales and zeros for fp32 ``[..., groups, group]``.

    The range is cut a little, since the rare extremes would cost all others their resolution; then
    scale and zero are fitted by least squares to the integers, and the integers chosen once more:
    a tenth less error than from minimum to maximum (docs/log.md, "Integer weights on a CPU").
    """
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    scales = ((high - low) * (RANGE_KEPT / 15)).clamp_min(1e-12)
    integers = _nearest(groups, scales, (low + high + scales) / 2)
    mean, mean_integer = groups.mean(-1, keepdim=True), integers.mean(-1, keepdim=True)
    size = groups.shape[-1]
    products = (integers * groups).sum(-1, keepdim=True) - size * mean * mean_integer
    norms = torch.linalg.vector_norm(integers, dim=-1, keepdim=True)
    squares = norms.square() - size * mean_integer.square()
    fitted = products / squares.clamp_min(1e-12)
    usable = (squares > 0.5) & (fitted > 0)
    scales = torch.where(usable, fitted, scales).to(torch.bfloat16).float()
    zeros = (mean - scales * (mean_integer - 8)).to(torch.bfloat16).float()
    integers = _nearest(groups, scales, zeros)
    return integers, scales[..., 0].to(torch.bfloat16), zeros[..., 0].to(torch.bfloat16)


def _nearest(groups: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """Return the integers 0 … 15 nearest to the values of groups, as fp32."""
    return torch.addcmul(8 - zeros / scales, groups, 1 / scales).round_().clamp_(0, 15)


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


class _Matmul(torch.autograd.Function):
    """``rows @ weights.T``; the gradient of the rows goes through dequantized weights."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, layer: IntLinear) -> Tensor:
        ctx.layer = layer  # type: ignore[attr-defined]
        if rows.shape[0] <= MAX_FUSED_ROWS:
            return layer.fused(rows.to(torch.bfloat16).contiguous()).to(rows.dtype)
        dtype = _dense_dtype(rows)
        output = rows.new_empty(rows.shape[0], layer.out_features)
        x = rows.to(dtype)
        for begin in range(0, layer.out_features, SLICE_ROWS):
            output[:, begin : begin + SLICE_ROWS] = x @ layer.dense(begin, dtype)
        return output

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        layer: IntLinear = ctx.layer  # type: ignore[attr-defined]
        dtype = _dense_dtype(gradient)
        total = gradient.new_zeros(gradient.shape[0], layer.in_features, dtype=torch.float32)
        for begin in range(0, layer.out_features, SLICE_ROWS):
            part = gradient[:, begin : begin + SLICE_ROWS].to(dtype)
            total += part @ layer.dense(begin, dtype).T
        return total.to(gradient.dtype), None


def _dense_dtype(rows: Tensor) -> torch.dtype:
    """Return the dtype of many rows' matmul: bf16 where rows and CPU have it, or fp32."""
    uses_bf16 = rows.dtype == torch.bfloat16 and has_fast_bf16()
    return torch.bfloat16 if uses_bf16 else torch.float32
