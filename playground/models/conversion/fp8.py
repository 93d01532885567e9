"""Weights in 8-bit floats with scales, multiplied out into bf16.

Three writers, one arithmetic: a weight is its fp8 value times its scale, which stands for the
whole tensor, a row, or a block. Mistral's own FP8 models (Ministral 3 Instruct, Devstral Small 2)
have one scale a tensor; DeepSeek's have blocks of 128 x 128. What scales activations is left out:
nothing computes in fp8 here.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from playground.errors import BrokenWeights, UnsupportedModel
from playground.files import write_atomic
from playground.models.config import read_config
from playground.models.conversion.tensors import (
    FP8_DTYPES,
    ReadTensor,
    TensorHeader,
    read_headers,
    reading,
)
from playground.models.copied_files import copy_model_files
from playground.models.shards import Layout, stored_bytes, write_shards
from playground.models.weights import find_weights

SCALES = ("_scale_inv", "_scale")
"""Behind a weight's name: fine-grained FP8 of transformers and vLLM; compressed-tensors, FBGEMM."""
MISTRAL_SCALE = "qscale_weight"
DROPPED = (
    *("activation_scale", "input_scale", "output_scale", "qscale_act", "input_scale_ub"),
    *("k_scale", "v_scale", "q_scale", "weight_zero_point", "input_zero_point"),
)
"""Endings of what belongs to activations, or says zero."""
METHODS = ("fp8", "fbgemm_fp8")


class Fp8Folder:
    """A model folder of transformers whose linear layers are stored in fp8."""

    form = "FP8 weights"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._weights = find_weights(folder)
        self.files = [folder / "config.json", *self._weights]
        self._headers = read_headers(self._weights)

    def config(self) -> PretrainedConfig:
        """Return the config of the model that it becomes."""
        config = read_config(self._folder)
        del config.quantization_config
        return config

    def nbytes(self) -> int:
        """Return the bytes of the converted weights."""
        return stored_bytes(self._layout())

    def write(self, folder: Path) -> None:
        """Write config, tokenizer and weights in bf16 into an existing folder."""
        copy_model_files(self._folder, folder)
        config = without_quantization(self._folder)
        write_atomic(folder / "config.json", json.dumps(config, indent=2))
        write_shards(self._layout(), self._tensors(), folder)

    def _layout(self) -> Layout:
        return {
            name: (header.shape, dequantized_dtype(header.dtype))
            for name, header in self._headers.items()
            if not is_dropped(name)
        }

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        with reading(self._headers) as read:
            for name in self._layout():
                yield name, dequantized(name, self._headers, read)


def is_fp8_folder(folder: Path) -> bool:
    """Say whether a folder's config says that its weights are 8-bit floats with scales."""
    return is_fp8(_read_quantization(folder / "config.json"))


def is_fp8(quantization: Mapping[str, Any]) -> bool:
    """Say the same of a ``quantization_config``."""
    method = quantization.get("quant_method")
    if method != "compressed-tensors":
        return method in METHODS
    groups = (quantization.get("config_groups") or {}).values()
    kinds = [group.get("weights") or {} for group in groups]
    return bool(kinds) and all(
        kind.get("type") == "float" and kind.get("num_bits") == 8 for kind in kinds
    )


def without_quantization(folder: Path) -> dict[str, Any]:
    """Return a folder's config as that of its unquantized original."""
    raw: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for config in (raw, raw.get("text_config") or {}):
        for key in ("quantization_config", "compression_config", "torch_dtype"):
            config.pop(key, None)
    return {**raw, "dtype": "bfloat16"}


def is_dropped(name: str) -> bool:
    """Say whether a tensor is a scale or a zero point, which the converted weights do not have."""
    return name.endswith((*DROPPED, *(f"weight{scale}" for scale in SCALES), MISTRAL_SCALE))


def dequantized_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that a stored tensor is converted to."""
    return torch.bfloat16 if dtype in FP8_DTYPES else dtype


def dequantized(name: str, headers: Mapping[str, TensorHeader], read: ReadTensor) -> Tensor:
    """Return a tensor's values; those of an fp8 weight times its scale, in bf16.

    Raises `BrokenWeights` for an fp8 weight without a scale, or with one that does not fit it.
    """
    values = read(name)
    if values.dtype not in FP8_DTYPES:
        return values
    names = [f"{name}{scale}" for scale in SCALES]
    names.append(f"{name.removesuffix('weight')}{MISTRAL_SCALE}")
    found = next((scale for scale in names if scale in headers), None)
    if found is None:
        raise BrokenWeights(f"{headers[name].file}: {name} is stored in fp8 without a scale")
    scale = read(found).float()
    try:
        return (values.float() * spread(scale, values.shape)).to(torch.bfloat16)
    except (ValueError, RuntimeError) as error:
        raise BrokenWeights(
            f"{headers[name].file}: {found} {tuple(scale.shape)} does not scale {name} "
            f"{tuple(values.shape)}"
        ) from error


def spread(scale: Tensor, shape: torch.Size) -> Tensor:
    """Return scales that broadcast over a matrix ``[rows, columns]``.

    ``scale`` has one value, one a row (``[rows]`` or ``[rows, 1]``), or one a block: blocks are of
    a power of two, the last ones may be cut.
    """
    if scale.numel() == 1:
        return scale.reshape(())
    if scale.ndim == 1:
        scale = scale[:, None]
    for axis in (0, 1):
        size, count = shape[axis], scale.shape[axis]
        if count not in (1, size):
            scale = scale.repeat_interleave(_block(size, count), dim=axis).narrow(axis, 0, size)
    return scale


def _block(size: int, count: int) -> int:
    """Return the block's length: ``count`` of them cover ``size``, the last one maybe cut."""
    even = math.ceil(size / count)
    block = 1 << (even - 1).bit_length()
    if math.ceil(size / block) != count:
        block = even
    if math.ceil(size / block) != count:
        raise ValueError(f"{count} blocks do not cover {size}")
    return block


def _read_quantization(path: Path) -> Mapping[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    stored = raw.get("quantization_config") or raw.get("compression_config") or {}
    if not isinstance(stored, dict):
        raise UnsupportedModel(f"{path}: quantization_config is not an object")
    return stored
