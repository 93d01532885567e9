"""Tensors of safetensors files, whatever their names: headers first, values one at a time."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from playground.errors import BrokenWeights

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I64": torch.int64,
    "I32": torch.int32,
    "I8": torch.int8,
    "U8": torch.uint8,
}
FP8_DTYPES = (torch.float8_e4m3fn, torch.float8_e5m2)


class ReadTensor(Protocol):
    """Reads a tensor's values by its name."""

    def __call__(self, name: str) -> Tensor:
        """Return them."""
        ...


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """Where a tensor lies, and what it is."""

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype


def read_headers(files: list[Path]) -> dict[str, TensorHeader]:
    """Return the headers of all files by name. Raises `BrokenWeights` naming a damaged file, or a
    dtype that is not known here.
    """
    headers = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as stored:
                for name in stored.keys():  # noqa: SIM118 (not a mapping)
                    part = stored.get_slice(name)
                    headers[name] = TensorHeader(
                        file, tuple(part.get_shape()), DTYPES[part.get_dtype()]
                    )
        except (SafetensorError, OSError) as error:
            raise BrokenWeights(
                f"{file} is truncated or damaged ({error}); delete it and download it again"
            ) from error
        except KeyError as error:
            raise BrokenWeights(f"{file} has tensors of the type {error}") from error
    return headers


@contextmanager
def reading(headers: Mapping[str, TensorHeader]) -> Iterator[ReadTensor]:
    """Yield a function that reads tensors; files are opened once."""
    with ExitStack() as opened:
        files: dict[Path, Any] = {}  # safetensors has no types

        def read(name: str) -> Tensor:
            file = headers[name].file
            if file not in files:
                files[file] = opened.enter_context(safe_open(file, framework="pt"))
            tensor: Tensor = files[file].get_tensor(name)
            return tensor

        yield read
