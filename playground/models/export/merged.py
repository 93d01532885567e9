"""Merged weights: a model folder in bf16 that transformers, vLLM and this playground load."""

import json
import shutil
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import Tensor

from playground.files import write_atomic
from playground.models.export.base import BaseWeights
from playground.models.weights import INDEX_FILE

SHARD_SIZE = "2GB"
"""A shard is held in memory until it is written."""
BF16_BYTES = 2
COPIED_PATTERNS = (
    "config.json", "generation_config.json", "tekken.json", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template*",
)  # fmt: skip


def merged_bytes(weights: BaseWeights) -> int:
    """Return the bytes that the weights will take."""
    return BF16_BYTES * sum(stored.elements for stored in weights.tensors.values())


def write_merged(weights: BaseWeights, folder: Path) -> None:
    """Write config, tokenizer and weights to an existing folder."""
    copy_model_files(weights.folder, folder)
    config = json.loads((weights.folder / "config.json").read_text(encoding="utf-8"))
    config.pop("torch_dtype", None)
    write_atomic(folder / "config.json", json.dumps({**config, "dtype": "bfloat16"}, indent=2))
    shapes = {
        name: torch.empty(stored.shape, dtype=torch.bfloat16, device="meta")
        for name, stored in weights.tensors.items()
    }
    split = split_torch_state_dict_into_shards(shapes, max_shard_size=SHARD_SIZE)
    missing = {file: set(names) for file, names in split.filename_to_tensors.items()}
    gathered: dict[str, dict[str, Tensor]] = {file: {} for file in missing}
    for name, tensor in weights:
        file = split.tensor_to_filename[name]
        gathered[file][name] = tensor.contiguous()
        missing[file].discard(name)
        if not missing[file]:
            save_file(gathered.pop(file), folder / file, metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_atomic(folder / INDEX_FILE, json.dumps(index, indent=2))


def copy_model_files(base: Path, folder: Path) -> None:
    """Copy everything of a model folder but its weights: config, tokenizer, templates."""
    for pattern in COPIED_PATTERNS:
        for file in filter(Path.is_file, base.glob(pattern)):
            shutil.copyfile(file, folder / file.name)
