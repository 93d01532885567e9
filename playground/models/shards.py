"""Weights as sharded safetensors, written tensor by tensor. Knows no model."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import Tensor

from playground.files import write_atomic
from playground.models.weights import INDEX_FILE

SHARD_SIZE = "2GB"
"""A shard is held in memory until it is written."""

Layout = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
"""Shape and dtype of each tensor by name, in the order in which they will come."""


def stored_bytes(layout: Layout) -> int:
    """Return the bytes that the tensors will take."""
    return sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in layout.values())


def write_shards(layout: Layout, tensors: Iterable[tuple[str, Tensor]], folder: Path) -> None:
    """Write ``tensors`` into an existing folder, with an index if they take several files.

    They have the shapes and dtypes of ``layout``, and come in its order.
    """
    shapes = {
        name: torch.empty(shape, dtype=dtype, device="meta")
        for name, (shape, dtype) in layout.items()
    }
    split = split_torch_state_dict_into_shards(shapes, max_shard_size=SHARD_SIZE)
    missing = {file: set(names) for file, names in split.filename_to_tensors.items()}
    gathered: dict[str, dict[str, Tensor]] = {file: {} for file in missing}
    for name, tensor in tensors:
        file = split.tensor_to_filename[name]
        gathered[file][name] = tensor.contiguous()
        missing[file].discard(name)
        if not missing[file]:
            save_file(gathered.pop(file), folder / file, metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_atomic(folder / INDEX_FILE, json.dumps(index, indent=2))
