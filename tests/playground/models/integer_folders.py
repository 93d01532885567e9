"""Folders of a tiny model in integers as GPTQ, AWQ and compressed-tensors store them."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Parts = dict[str, Tensor]
Pack = Callable[["Quantized"], Parts]
GROUP = 32
AWQ_PLACES = [0, 2, 4, 6, 1, 3, 5, 7]
"""The output in each place of a word, from the lowest bits on."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """Integers ``[out, in]``, scales and zeros ``[out, groups]``, and the group of each input."""

    integers: Tensor
    scales: Tensor
    zeros: Tensor
    groups: Tensor
    bits: int

    def meant(self) -> Tensor:
        """The matrix that is stored."""
        zeros, scales = self.zeros[:, self.groups], self.scales.float()[:, self.groups]
        return (self.integers - zeros) * scales


@dataclass(frozen=True, slots=True)
class Form:
    """A ``quantization_config`` and how a matrix is written under it."""

    config: Mapping[str, Any]
    pack: Pack
    bits: int = 4
    symmetric: bool = False
    act_order: bool = False
    group: int = GROUP


def words(numbers: Tensor, bits: int, axis: int) -> Tensor:
    """Put numbers along an axis into words of 32 bits, the first into the lowest bits."""
    count = 32 // bits
    parts = numbers.long().unflatten(axis, (-1, count)).unbind(axis + 1)
    whole = sum(part << (bits * place) for place, part in enumerate(parts))
    assert isinstance(whole, Tensor)
    return torch.where(whole >= 2**31, whole - 2**32, whole).to(torch.int32)


def gptq(stored: Quantized, less: int = 1) -> Parts:
    """As GPTQModel writes: each word of zeros has one taken from all of its numbers."""
    ones = words(torch.full_like(stored.zeros.T, less), stored.bits, 1)
    return {
        "qweight": words(stored.integers.T, stored.bits, 0),
        "qzeros": words(stored.zeros.T, stored.bits, 1) - ones,
        "scales": stored.scales.T.contiguous(),
        "g_idx": stored.groups.to(torch.int32),
    }


def awq(stored: Quantized) -> Parts:
    """As AutoAWQ writes with its matmul kernel."""

    def ordered(numbers: Tensor) -> Tensor:
        return numbers.unflatten(1, (-1, 8))[:, :, AWQ_PLACES].flatten(1)

    return {
        "qweight": words(ordered(stored.integers.T), 4, 1),
        "qzeros": words(ordered(stored.zeros.T), 4, 1),
        "scales": stored.scales.T.contiguous(),
    }


def compressed(stored: Quantized) -> Parts:
    """As compressed-tensors packs, with zeros of their own."""
    return compressed_symmetric(stored) | {"weight_zero_point": words(stored.zeros, stored.bits, 0)}


def compressed_symmetric(stored: Quantized) -> Parts:
    """The same without zeros."""
    return {
        "weight_packed": words(stored.integers, stored.bits, 1),
        "weight_scale": stored.scales.contiguous(),
        "weight_shape": torch.tensor(stored.integers.shape),
    }


def plain_int8(stored: Quantized) -> Parts:
    """As compressed-tensors stores W8A8."""
    return {
        "weight": (stored.integers - 128).to(torch.int8),
        "weight_scale": stored.scales.contiguous(),
    }


def scheme(form: str, bits: int, *, symmetric: bool, strategy: str = "group") -> dict[str, Any]:
    """What llm-compressor writes into the config."""
    weights = {
        "num_bits": bits,
        "type": "int",
        "symmetric": symmetric,
        "strategy": strategy,
        "group_size": GROUP if strategy == "group" else None,
    }
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
    }


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm"}
FORMS: Mapping[str, Form] = {
    "gptq": Form(GPTQ, gptq),
    "gptq, act-order": Form(GPTQ | {"desc_act": True}, gptq, act_order=True),
    "gptq, format v2": Form(
        GPTQ | {"checkpoint_format": "gptq_v2"}, lambda stored: gptq(stored, less=0)
    ),
    "gptq, 8 bits": Form(GPTQ | {"bits": 8}, gptq, bits=8),
    "awq": Form(AWQ, awq),
    "w4a16": Form(
        scheme("pack-quantized", 4, symmetric=True), compressed_symmetric, symmetric=True
    ),
    "w4a16, zeros": Form(scheme("pack-quantized", 4, symmetric=False), compressed),
    "w8a8": Form(
        scheme("int-quantized", 8, symmetric=True, strategy="channel"),
        plain_int8,
        bits=8,
        symmetric=True,
        group=0,
    ),
}


def quantize(weight: Tensor, form: Form) -> Quantized:
    """Round a matrix ``[out, in]`` to integers of one group after another."""
    inputs, top = weight.shape[1], 2**form.bits - 1
    size = form.group or inputs
    groups = torch.arange(inputs) // size
    if form.act_order:
        groups = groups[torch.randperm(inputs, generator=torch.Generator().manual_seed(0))]
    gathered = weight[:, groups.argsort()].unflatten(1, (-1, size))
    low, high = gathered.amin(-1), gathered.amax(-1)
    if form.symmetric:
        high = torch.maximum(high, -low)
        low = -high
    scales = ((high - low) / top).clamp_min(1e-6).half()
    middle = torch.full_like(low, (top + 1) // 2)
    zeros = middle if form.symmetric else (-low / scales.float()).round().clamp(0, top)
    spread = (weight / scales.float()[:, groups] + zeros[:, groups]).round().clamp(0, top)
    return Quantized(spread.long(), scales, zeros.long(), groups, form.bits)


def write_integers(original: Path, folder: Path, form: Form) -> dict[str, Tensor]:
    """Copy a model folder with its decoder's linears as integers; return what they stand for."""
    shutil.copytree(original, folder)
    path, stored, meant = folder / "model.safetensors", {}, {}
    for name, weight in load_file(path).items():
        meant[name] = weight.float()
        if "proj" not in name or "vision" in name or "projector" in name:
            stored[name] = weight
            continue
        quantized = quantize(weight.float(), form)
        meant[name] = quantized.meant()
        prefix = name.removesuffix("weight")
        stored |= {f"{prefix}{part}": each for part, each in form.pack(quantized).items()}
    save_file({name: each.contiguous() for name, each in stored.items()}, path)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = dict(form.config)
    (folder / "config.json").write_text(json.dumps(config))
    return meant
