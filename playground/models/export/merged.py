"""Merged weights: a model folder in bf16 that transformers, vLLM and this playground load."""

import json
from pathlib import Path

import torch

from playground.files import write_atomic
from playground.models.copied_files import copy_model_files
from playground.models.export.base import BaseWeights
from playground.models.shards import Layout, stored_bytes, write_shards


def merged_bytes(weights: BaseWeights) -> int:
    """Return the bytes that the weights will take."""
    return stored_bytes(_layout(weights))


def write_merged(weights: BaseWeights, folder: Path) -> None:
    """Write config, tokenizer and weights to an existing folder."""
    copy_model_files(weights.folder, folder)
    config = json.loads((weights.folder / "config.json").read_text(encoding="utf-8"))
    config.pop("torch_dtype", None)
    write_atomic(folder / "config.json", json.dumps({**config, "dtype": "bfloat16"}, indent=2))
    write_shards(_layout(weights), weights, folder)


def _layout(weights: BaseWeights) -> Layout:
    return {name: (stored.shape, torch.bfloat16) for name, stored in weights.tensors.items()}
