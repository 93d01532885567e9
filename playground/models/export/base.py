"""The base of an export: its stored weights, read tensor by tensor, with an adapter's deltas added.

No model is built and no more than one tensor is held, so that 24 billion parameters are merged on a
laptop. Knows no file format but safetensors.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PretrainedConfig

from playground.errors import NoSuchModel, NotEnoughMemory, UnsupportedModel, WrongBase
from playground.models.adapters import Adapter, LoraPair
from playground.models.config import read_config
from playground.models.download import find_on_disk
from playground.models.plan import available_bytes
from playground.models.spec import ModelSpec
from playground.models.weights import find_weights

FP32_BYTES = 4
WORKING_COPIES = 3
"""fp32 tensors of one matrix that merging holds: the weight, the delta, and their sum."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of the base: its file, and its shape."""

    file: Path
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of values."""
        return int(torch.Size(self.shape).numel())


class BaseWeights:
    """The unquantized weights of a model folder, with ``adapter`` merged in if one is given.

    Raises `NoSuchModel` if ``source`` is not on this disk, `UnsupportedModel` if its weights are
    quantized, `WrongBase` if it lacks a module of the adapter, `NotEnoughMemory` if its largest
    matrix cannot be merged here.
    """

    def __init__(self, source: str, home: Path, adapter: Adapter | None = None) -> None:
        self.folder = base_folder(source, home)
        self.config: PretrainedConfig = read_config(self.folder)
        refuse_quantized(self.folder, self.config)
        self.tensors: Mapping[str, StoredTensor] = _headers(find_weights(self.folder))
        modules = adapter.modules if adapter else {}
        self._pairs = {_key_of(path, self.tensors): pair for path, pair in modules.items()}
        _check_memory(self.tensors)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Yield names and values in bf16, in the order of `tensors`."""
        with ExitStack() as opened:
            files: dict[Path, Any] = {}  # safetensors has no types
            for name, stored in self.tensors.items():
                if stored.file not in files:
                    files[stored.file] = opened.enter_context(
                        safe_open(stored.file, framework="pt")
                    )
                yield name, _merged(files[stored.file].get_tensor(name), self._pairs.get(name))


def base_folder(source: str, home: Path) -> Path:
    """Return a base's folder. Raises `NoSuchModel` if it is not on this disk; downloads nothing."""
    folder = find_on_disk(ModelSpec(source), home)
    if folder is None:
        raise NoSuchModel(
            f"the base {source} is not on this disk; download it (playground --model {source}), or "
            "name a folder with --model"
        )
    return folder


def refuse_quantized(folder: Path, config: PretrainedConfig) -> None:
    """Raise `UnsupportedModel` for a base that is stored quantized.

    A merged weight would have to be rounded to the few values of each block again, and what the
    adapter adds is mostly smaller than the steps between those: it would be lost, or noise.
    """
    stored = getattr(config, "quantization_config", None)
    if stored:
        method = stored.get("quant_method", "") if isinstance(stored, dict) else ""
        raise UnsupportedModel(
            f"{folder} is stored quantized ({method or 'quantization_config'}), and an adapter is "
            "merged into 16 bits only: rounding the sum to a few bits again would lose what the "
            "adapter adds. Name the unquantized original with --model, or export --to peft"
        )


def _headers(files: list[Path]) -> dict[str, StoredTensor]:
    tensors = {}
    for file in files:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 (not a mapping)
                tensors[name] = StoredTensor(file, tuple(stored.get_slice(name).get_shape()))
    return tensors


def _key_of(path: str, tensors: Mapping[str, StoredTensor]) -> str:
    """Return the name under which a module's weight is stored.

    A checkpoint of several towers has a prefix of its own before the text model's layers.
    """
    if f"{path}.weight" in tensors:
        return f"{path}.weight"
    ending = f".{path.removeprefix('model.')}.weight"
    found = [name for name in tensors if name.endswith(ending) and "vision" not in name]
    if len(found) != 1:
        raise WrongBase(f"the stored base has {len(found) or 'no'} weights for the module {path}")
    return found[0]


def _check_memory(tensors: Mapping[str, StoredTensor]) -> None:
    largest = max(stored.elements for stored in tensors.values())
    needed, free = WORKING_COPIES * FP32_BYTES * largest, available_bytes(torch.device("cpu"))
    if needed > free:
        raise NotEnoughMemory(
            f"merging takes {needed / 2**30:.1f} GiB of memory for the largest matrix and "
            f"{free / 2**30:.1f} GiB are free; export --to peft or vllm takes none"
        )


def _merged(weight: Tensor, pair: LoraPair | None) -> Tensor:
    """Add in fp32 and round once."""
    if pair is not None:
        weight = weight.float() + pair.up @ pair.down
    return weight.to(torch.bfloat16)
