"""Matrices that other programs store as packed integers, unpacked by torch alone on any device.

GPTQ (AutoGPTQ, GPTQModel), AWQ (AutoAWQ) and compressed-tensors (llm-compressor's W4A16, W8A16
and W8A8) mean the same, ``w = (q - zero) * scale`` with one scale and zero for each group of
inputs of each output, and differ in how ``q`` lies in words of 32 bits:

    GPTQ                 qweight [in / 8, out]  8 inputs a word; qzeros [groups, out / 8], less one
    GPTQ, format v2      the same; qzeros as they are
    AWQ, version gemm    qweight [in, out / 8]  8 outputs a word in the order of `AWQ_ORDER`
    compressed-tensors   weight_packed [out, in / 8]  8 inputs a word, both numbers raised by 8;
                         or int8 weights [out, in] as they are

(for 4 bits; 8 bits put four numbers into a word). Activations stay in 16 bits whatever a config
says of them. Knows no files and no model class.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from playground.errors import UnsupportedModel

Layout = Literal["gptq", "gptq_v2", "awq", "packed", "int8"]
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Of a word's eight outputs, the one in each place from the lowest bits on."""
WORD_BITS = 32
BITS = (4, 8)
ONES: Mapping[int, int] = MappingProxyType({4: 0x11111111, 8: 0x01010101})
"""A word whose numbers are all one."""
ANCHORS: Mapping[Layout, str] = MappingProxyType(
    {
        "gptq": "qweight",
        "gptq_v2": "qweight",
        "awq": "qweight",
        "packed": "weight_packed",
        "int8": "weight_scale",
    }
)
"""The tensor by which a stored matrix is known, behind its module's path."""
INSTEAD = (
    "take its unquantized original with --quantization nf4, or a folder of GPTQ, AWQ (gemm), "
    "compressed-tensors in 4 or 8 bits, bitsandbytes, FP8, or a GGUF file"
)

ReadPart = Callable[[str], Tensor]
"""Reads a tensor of one module by its last name; raises `KeyError` if it is not stored."""


@dataclass(frozen=True, slots=True)
class IntegerFormat:
    """How a folder's integers lie. ``group_size`` is in inputs, -1 for all of a row."""

    name: str
    layout: Layout
    bits: int
    group_size: int

    @property
    def anchor(self) -> str:
        """The tensor by which a stored matrix is known."""
        return ANCHORS[self.layout]


@dataclass(frozen=True, slots=True)
class IntegerMatrix:
    """``integers`` is uint8 ``[out, in]``; ``scales`` and ``zeros`` are fp32 ``[out, groups]``.

    ``group_of_input`` is int64 ``[in]`` where inputs are out of order (GPTQ's act-order), and None
    where each group is a run of ``inputs / groups``.
    """

    integers: Tensor
    scales: Tensor
    zeros: Tensor
    group_of_input: Tensor | None = None

    @property
    def group_size(self) -> int:
        """Inputs that share a scale; 0 where they are out of order."""
        inputs, groups = self.integers.shape[1], self.scales.shape[1]
        return 0 if self.group_of_input is not None else inputs // groups

    def dense(self) -> Tensor:
        """Return the matrix in fp32, ``[out, in]``."""
        if self.group_of_input is not None:
            zeros, scales = self.zeros[:, self.group_of_input], self.scales[:, self.group_of_input]
            return self.integers.float().sub_(zeros).mul_(scales)
        rows = len(self.integers)
        grouped = self.integers.float().view(rows, -1, self.group_size)
        grouped.sub_(self.zeros[..., None]).mul_(self.scales[..., None])
        return grouped.view(rows, -1)


def read_format(source: str, fields: Mapping[str, Any]) -> IntegerFormat:
    """Return the format that a ``quantization_config`` describes.

    Raises `UnsupportedModel` naming the method, layout or number of bits that is not read here.
    """
    method = str(fields.get("quant_method") or "unknown")
    if method not in READERS:
        raise UnsupportedModel(
            f"{source} is stored quantized by {method}, which is not read here: {INSTEAD}"
        )
    try:
        found = READERS[method](source, fields)
    except (TypeError, ValueError, AttributeError) as error:
        raise UnsupportedModel(
            f"{source}: its quantization_config is not one of {method}: {error}"
        ) from error
    if found.bits not in BITS or (found.layout == "awq" and found.bits != 4):
        raise UnsupportedModel(
            f"{source} is stored by {found.name} in {found.bits} bits, which are not read here: "
            f"{INSTEAD}"
        )
    return found


def unpack(form: IntegerFormat, read: ReadPart) -> IntegerMatrix:
    """Return a module's matrix. Raises `ValueError` or `RuntimeError` if its parts do not fit."""
    if form.layout == "awq":
        return _unpack_awq(form, read)
    if form.layout == "packed":
        return _unpack_compressed(form, read)
    if form.layout == "int8":
        return _unpack_int8(read)
    return _unpack_gptq(form, read)


def _gptq(source: str, fields: Mapping[str, Any]) -> IntegerFormat:
    written = str(fields.get("checkpoint_format") or fields.get("format") or "gptq").lower()
    if written not in ("gptq", "gptq_v2") or fields.get("dynamic"):
        what = (
            f"the format {written!r}" if written not in ("gptq", "gptq_v2") else "several formats"
        )
        raise UnsupportedModel(f"{source} is stored by GPTQ in {what}, not read here: {INSTEAD}")
    layout: Layout = "gptq_v2" if written == "gptq_v2" else "gptq"
    group_size = int(fields.get("group_size") or 128)
    return IntegerFormat("GPTQ", layout, int(fields.get("bits") or 0), group_size)


def _awq(source: str, fields: Mapping[str, Any]) -> IntegerFormat:
    version = str(fields.get("version") or fields.get("format") or "gemm").lower()
    if version != "gemm":
        raise UnsupportedModel(
            f"{source} is stored by AWQ in the layout {version!r}, not read here: {INSTEAD}"
        )
    bits = int(fields.get("bits") or fields.get("w_bit") or 4)
    group_size = int(fields.get("group_size") or fields.get("q_group_size") or 128)
    return IntegerFormat("AWQ", "awq", bits, group_size)


def _compressed(source: str, fields: Mapping[str, Any]) -> IntegerFormat:
    groups = list((fields.get("config_groups") or {}).values())
    kinds = [group.get("weights") or {} for group in groups]
    said = {str(group.get("format") or fields.get("format")) for group in groups}
    same = {
        (kind.get("type"), kind.get("num_bits"), kind.get("strategy"), kind.get("group_size"))
        for kind in kinds
    }
    layouts: Mapping[str, Layout] = {
        "pack-quantized": "packed",
        "int-quantized": "int8",
        "naive-quantized": "int8",
    }
    layout = layouts.get(next(iter(said), ""))
    sparse = (fields.get("sparsity_config") or {}).get("format") or "dense"
    if len(same) != 1 or len(said) != 1 or layout is None or sparse != "dense":
        what = f"{', '.join(sorted(said)) or 'no group'}{'' if sparse == 'dense' else ', sparse'}"
        raise UnsupportedModel(
            f"{source} is stored by compressed-tensors as {what} in {len(same)} schemes, which is "
            f"not read here: {INSTEAD}"
        )
    kind, bits, strategy, group_size = next(iter(same))
    if kind != "int" or strategy not in ("group", "channel", "tensor"):
        raise UnsupportedModel(
            f"{source} is stored by compressed-tensors as {kind} by {strategy}, which is not read "
            f"here: {INSTEAD}"
        )
    size = int(group_size) if strategy == "group" and group_size else -1
    return IntegerFormat("compressed-tensors", layout, int(bits or 0), size)


READERS: Mapping[str, Callable[[str, Mapping[str, Any]], IntegerFormat]] = MappingProxyType(
    {"gptq": _gptq, "awq": _awq, "compressed-tensors": _compressed}
)


def _unpack_gptq(form: IntegerFormat, read: ReadPart) -> IntegerMatrix:
    integers = _along(read("qweight"), form.bits, 0).T
    words = read("qzeros")
    if (
        form.layout == "gptq"
    ):  # whole words, as they were written: a zero of 0 borrowed from the next
        words = words + ONES[form.bits]
    zeros = _along(words, form.bits, 1).T.float()
    scales = read("scales").float().T
    groups = _optional(read, "g_idx")
    size = _size(form.group_size, integers.shape[1])
    if groups is not None:
        groups = groups.long()
        in_order = torch.arange(len(groups), device=groups.device) // size
        groups = None if torch.equal(groups, in_order) else groups
    return _checked(IntegerMatrix(integers, scales, zeros, groups), size)


def _unpack_awq(form: IntegerFormat, read: ReadPart) -> IntegerMatrix:
    order = torch.tensor(AWQ_ORDER).argsort()
    integers = _along(read("qweight"), form.bits, 1)
    zeros = _along(read("qzeros"), form.bits, 1)
    sorted_ = [
        part.view(len(part), -1, len(order))[:, :, order].flatten(1).T for part in (integers, zeros)
    ]
    scales = read("scales").float().T
    matrix = IntegerMatrix(sorted_[0], scales, sorted_[1].float())
    return _checked(matrix, _size(form.group_size, integers.shape[0]))


def _unpack_compressed(form: IntegerFormat, read: ReadPart) -> IntegerMatrix:
    rows, inputs = (int(size) for size in read("weight_shape"))
    integers = _along(read("weight_packed"), form.bits, 1)[:, :inputs]
    scales = _by_row(read("weight_scale"), rows)
    stored_zeros, middle = _optional(read, "weight_zero_point"), float(1 << (form.bits - 1))
    zeros = torch.full_like(scales, middle)
    if stored_zeros is not None and stored_zeros.dtype == torch.int32:
        zeros = _along(stored_zeros, form.bits, 0)[:rows].float()
    elif stored_zeros is not None:
        zeros = zeros + _by_row(stored_zeros, rows)
    groups = _optional(read, "weight_g_idx")
    matrix = IntegerMatrix(integers, scales, zeros, None if groups is None else groups.long())
    return _checked(matrix, _size(form.group_size, inputs))


def _unpack_int8(read: ReadPart) -> IntegerMatrix:
    integers = (read("weight").to(torch.int16) + 128).to(torch.uint8)
    scales = _by_row(read("weight_scale"), len(integers))
    stored_zeros, zeros = _optional(read, "weight_zero_point"), torch.full_like(scales, 128.0)
    if stored_zeros is not None:
        zeros = zeros + _by_row(stored_zeros, len(integers))
    return _checked(IntegerMatrix(integers, scales, zeros), integers.shape[1] // scales.shape[1])


def _along(packed: Tensor, bits: int, axis: int) -> Tensor:
    """Spread the numbers of int32 words along an axis, the lowest bits first, as uint8."""
    shifts = torch.arange(0, WORD_BITS, bits, device=packed.device, dtype=torch.int32)
    shape = [1] * (packed.ndim + 1)
    shape[axis + 1] = len(shifts)
    numbers = torch.bitwise_right_shift(packed.unsqueeze(axis + 1), shifts.view(shape))
    return (numbers & ((1 << bits) - 1)).to(torch.uint8).flatten(axis, axis + 1)


def _by_row(scales: Tensor, rows: int) -> Tensor:
    """Return scales ``[rows, groups]`` in fp32; one for the whole matrix is one for each row."""
    return scales.float().expand(rows, 1) if scales.numel() == 1 else scales.float().view(rows, -1)


def _optional(read: ReadPart, name: str) -> Tensor | None:
    try:
        return read(name)
    except KeyError:
        return None


def _size(group_size: int, inputs: int) -> int:
    return inputs if group_size < 0 else group_size


def _checked(matrix: IntegerMatrix, size: int) -> IntegerMatrix:
    """Raise `ValueError` if scales and zeros do not cover the integers."""
    rows, inputs = matrix.integers.shape
    groups = -(-inputs // size)
    if matrix.scales.shape != (rows, groups) or matrix.zeros.shape != (rows, groups):
        raise ValueError(
            f"integers {rows} x {inputs} in groups of {size} have scales "
            f"{tuple(matrix.scales.shape)} and zeros {tuple(matrix.zeros.shape)}"
        )
    if matrix.group_of_input is None and inputs % groups:
        index = torch.arange(inputs, device=matrix.integers.device) // size
        return IntegerMatrix(matrix.integers, matrix.scales, matrix.zeros, index)
    return matrix
