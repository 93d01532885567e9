"""A model's config: what it decides before weights are loaded (class, context, device, dtype)."""

import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, PretrainedConfig

from playground.errors import UnsupportedModel
from playground.models.spec import ModelSpec
from playground.models.stored_integers import IntegerFormat, read_format
from playground.settings import Quantization

SMALL_MODEL = 1_000_000_000
"""Parameters; a CPU serves smaller models in fp32, where small matmuls are faster than in bf16."""
FP32_BYTES = 4
MEMORY_FOR_FP32 = 0.5
"""Fraction of all memory that weights in fp32 may take where bf16 would do."""

WRAPPERS = ("mistral3",)
"""Model types of a text tower beside a vision tower, of which the text tower is loaded: Mistral
Small 3.1 and 3.2, Magistral Small 1.2, Devstral Small 2, Ministral 3.
"""
TEXT_TOWER_KEYS: Mapping[str, str] = MappingProxyType(
    {r"^language_model\.": "", r"^model\.language_model\.": "model."}
)
"""From the names of a wrapper's weights, as the hub has them and as transformers 5 saves them, to
those of its text tower alone."""

DTYPES: Mapping[str, torch.dtype] = MappingProxyType(
    {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
)


def read_config(folder: Path) -> PretrainedConfig:
    """Return the config of a causal LM whose class is part of transformers; of a model with a
    vision tower that of its text tower.

    Raises `UnsupportedModel` for anything else.
    """
    path = folder / "config.json"
    if not path.exists():
        raise UnsupportedModel(f"{folder} is not a model folder: it has no config.json")
    try:
        raw = json.loads(path.read_text())
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UnsupportedModel(
            f"{path} is not a config that transformers knows: {error}"
        ) from error
    if raw.get("model_type") in WRAPPERS:
        config = _text_config(config, raw)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        kind = raw.get("model_type", "without a model_type")
        raise UnsupportedModel(f"{folder}: {kind} is not a causal language model of transformers")
    return config


def is_wrapped(folder: Path) -> bool:
    """Say whether the folder's text tower stands beside a vision tower."""
    raw = json.loads((folder / "config.json").read_text())
    return raw.get("model_type") in WRAPPERS


def _text_config(config: PretrainedConfig, raw: Mapping[str, Any]) -> PretrainedConfig:
    """Return the text tower's config, with what the wrapper's says of the whole model."""
    text: PretrainedConfig = config.get_text_config()
    inner = raw.get("text_config") or {}
    if "tie_word_embeddings" in raw and "tie_word_embeddings" not in inner:
        text.tie_word_embeddings = raw["tie_word_embeddings"]
    if raw.get("quantization_config") is not None:
        text.quantization_config = raw["quantization_config"]
    return text


def as_stored(spec: ModelSpec, config: PretrainedConfig) -> ModelSpec:
    """Return the spec with the quantization in which the folder's weights are held, if they are
    stored quantized: packed integers become "nf4" or "int8", whichever has their bits.

    Raises `UnsupportedModel` for a method that is not read, and if another quantization than the
    stored one is asked for.
    """
    fields = stored_fields(config)
    if not fields:
        return spec
    form = integer_format(spec.source, config)
    if form is None:
        quantization: Quantization = "nf4" if fields.get("load_in_4bit") else "int8"
    else:
        quantization = "nf4" if form.bits == 4 else "int8"
    if spec.quantization not in ("none", quantization):
        raise UnsupportedModel(
            f"{spec.source} is stored as {quantization} and cannot be loaded as "
            f"{spec.quantization}; leave --quantization out"
        )
    return replace(spec, quantization=quantization)


def integer_format(source: str, config: PretrainedConfig) -> IntegerFormat | None:
    """Return how other programs packed the folder's integers; None if its weights are not
    quantized, or by bitsandbytes. Raises `UnsupportedModel` for a method that is not read.
    """
    fields = stored_fields(config)
    if not fields or fields.get("quant_method") == "bitsandbytes":
        return None
    return read_format(source, fields)


def stored_fields(config: PretrainedConfig) -> Mapping[str, Any]:
    """Return what a config says of quantized weights; empty if they are not quantized."""
    stored = getattr(config, "quantization_config", None)
    if not stored:
        return {}
    fields: Mapping[str, Any] = stored if isinstance(stored, dict) else stored.to_dict()
    return fields


def window_of(config: PretrainedConfig) -> int:
    """Return the model's longest context in tokens."""
    return int(getattr(config, "max_position_embeddings", None) or 4096)


def choose_device(wanted: str) -> torch.device:
    """Return the device to load onto; "auto" is the first GPU, or the CPU if there is none.

    Raises `UnsupportedModel` for a device that this machine does not have.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise UnsupportedModel(f"{wanted!r} is not a device") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnsupportedModel(f"{wanted}: this machine has {torch.cuda.device_count()} CUDA GPUs")
    return device


def choose_dtype(spec: ModelSpec, parameters: int, device: torch.device) -> torch.dtype:
    """Return the dtype of unquantized weights, and of the products with quantized ones.

    "auto" is bf16 where the device computes in it; a GPU that does not takes fp16. A CPU takes fp32
    for small models, and for all that fit where it has no bf16 instructions (AVX512-BF16, AMX, or
    ARM's): without them bf16 takes about twice the time of fp32.
    """
    if spec.precision != "auto":
        return DTYPES[spec.precision]
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    if parameters < SMALL_MODEL:
        return torch.float32
    memory = psutil.virtual_memory().total
    fits = spec.quantization == "none" and FP32_BYTES * parameters <= MEMORY_FOR_FP32 * memory
    return torch.float32 if fits and not has_fast_bf16() else torch.bfloat16


def has_fast_bf16() -> bool:
    """Say whether this CPU multiplies bf16 in hardware."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
