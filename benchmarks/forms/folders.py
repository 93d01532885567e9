"""A tiny Mistral with random weights in every form that people have. The writers are the tests'."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from playground.models import shards
from playground.models.export.request import GgufType
from tests.playground.models.conversion.stored import (
    write_gguf,
    write_mistral_format,
    write_original,
)
from tests.playground.models.conversion.test_fp8 import CONFIGS, claim, scale_of, store
from tests.playground.models.integer_folders import FORMS as INTEGERS
from tests.playground.models.integer_folders import write_integers
from tests.playground.models.test_stored_quantization import stored as write_bitsandbytes

VERSION = "v11"
"""Of the tokenizer."""


@dataclass(frozen=True, slots=True)
class Made:
    """What ``--model`` is given, and the model in fp32 that it stands for."""

    source: Path
    meant: PreTrainedModel


Write = Callable[[Path], Made]


def _original(root: Path) -> tuple[Path, PreTrainedModel]:
    return root / "original", write_original(root / "original", VERSION)


def _plain(root: Path) -> Made:
    return Made(*_original(root))


def _sharded(root: Path) -> Made:
    folder, model = _original(root)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    layout = {name: (tuple(each.shape), each.dtype) for name, each in weights.items()}
    whole, shards.SHARD_SIZE = shards.SHARD_SIZE, "200KB"
    try:
        shards.write_shards(layout, weights.items(), folder)
    finally:
        shards.SHARD_SIZE = whole
    if not (folder / "model.safetensors.index.json").is_file():
        raise AssertionError("the folder was not sharded")
    return Made(folder, model)


def _bitsandbytes(root: Path, kind: Literal["nf4", "int8"]) -> Made:
    folder, model = _original(root)
    write_bitsandbytes(root / kind, folder, kind)
    return Made(root / kind, model)


def _integers(root: Path, name: str) -> Made:
    folder, model = _original(root)
    meant = write_integers(folder, root / "stored", INTEGERS[name])
    return Made(root / "stored", _with(model, meant))


def _fp8(root: Path, strategy: str) -> Made:
    folder, model = _original(root)
    meant = store(folder / "model.safetensors", strategy)
    claim(folder, strategy)
    if strategy not in CONFIGS:
        raise AssertionError(strategy)
    return Made(folder, _with(model, meant))


def _gguf(root: Path, kind: GgufType) -> Made:
    folder, model = _original(root)
    path = root / f"tiny-{kind}.gguf"
    write_gguf(folder, model, path, kind)
    return Made(path, model)


def _mistral(root: Path, *, fp8: bool) -> Made:
    folder, model = _original(root)
    write_mistral_format(folder, model, root / "stored")
    if fp8:
        _make_fp8(root / "stored" / "consolidated.safetensors")
    if not json.loads((root / "stored" / "params.json").read_text())["dim"]:
        raise AssertionError("params.json has no size")
    return Made(root / "stored", model)


def _make_fp8(path: Path) -> None:
    weights = load_file(path)
    for name in [name for name in weights if "attention.w" in name or "feed_forward" in name]:
        scale = scale_of(weights[name].float(), "tensor")
        weights[name] = (weights[name].float() / scale).to(torch.float8_e4m3fn)
        weights[name.replace("weight", "qscale_weight")] = scale
    save_file(weights, path)


def _with(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> PreTrainedModel:
    model.load_state_dict({name: each.float() for name, each in weights.items()})
    return model


FORMS: Mapping[str, Write] = {
    "bf16, one file": _plain,
    "bf16, sharded": _sharded,
    "bitsandbytes NF4": partial(_bitsandbytes, kind="nf4"),
    "bitsandbytes int8": partial(_bitsandbytes, kind="int8"),
    "GPTQ, 4 bits": partial(_integers, name="gptq"),
    "GPTQ, 4 bits, act-order": partial(_integers, name="gptq, act-order"),
    "GPTQ, 8 bits": partial(_integers, name="gptq, 8 bits"),
    "AWQ": partial(_integers, name="awq"),
    "compressed-tensors W4A16": partial(_integers, name="w4a16"),
    "compressed-tensors W8A8": partial(_integers, name="w8a8"),
    "FP8, compressed-tensors": partial(_fp8, strategy="row"),
    "FP8, fine-grained blocks": partial(_fp8, strategy="block"),
    "FP8, a scale a tensor": partial(_fp8, strategy="tensor"),
    "GGUF f16": partial(_gguf, kind="f16"),
    "GGUF q8_0": partial(_gguf, kind="q8_0"),
    "GGUF q4_0": partial(_gguf, kind="q4_0"),
    "Mistral's format": partial(_mistral, fp8=False),
    "Mistral's format, FP8": partial(_mistral, fp8=True),
}
