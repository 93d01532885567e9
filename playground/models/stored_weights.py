"""The weights of a model folder by the model's own names, whatever form they are stored in.

16 or 32 bits, bitsandbytes' NF4 and int8, or integers that other programs packed
(`stored_integers`). A tensor is read when it is asked for. Knows no model class.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from playground.models.stored_integers import IntegerFormat, IntegerMatrix, unpack

NO_RENAMING: Mapping[str, str] = {}


class StoredWeights:
    """The tensors of safetensors files, renamed by patterns such as `config.TEXT_TOWER_KEYS`.

    ``form`` is how integers lie, if the folder's config names a format. Raises `SafetensorError`
    and `OSError` for files that do not open.
    """

    def __init__(
        self,
        files: Sequence[Path],
        renaming: Mapping[str, str] = NO_RENAMING,
        form: IntegerFormat | None = None,
    ) -> None:
        self.form = form
        self._places: dict[str, tuple[Path, str]] = {}
        for path in files:
            with safe_open(path, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 (not a mapping)
                    self._places[_renamed(name, renaming)] = (path, name)

    def __contains__(self, name: str) -> bool:
        return name in self._places or self._is_integers(name)

    def tensor(self, name: str, device: torch.device | str = "cpu") -> Tensor:
        """Return a tensor as it is stored. Raises `KeyError`."""
        path, stored_name = self._places[name]
        with safe_open(path, framework="pt") as opened:
            tensor: Tensor = opened.get_tensor(stored_name)
        return tensor.to(device)

    def integers(self, name: str, device: torch.device | str = "cpu") -> IntegerMatrix | None:
        """Return a matrix that is stored as packed integers; None if it is stored otherwise.

        Raises `ValueError` naming it if its parts do not fit each other.
        """
        if self.form is None or not self._is_integers(name):
            return None
        prefix = name.removesuffix("weight")
        try:
            return unpack(self.form, lambda part: self.tensor(f"{prefix}{part}", device))
        except KeyError as error:
            raise ValueError(f"missing keys: {name} is stored without {error}") from error
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"mismatched keys: {name}: {error}") from error

    def matrix(self, name: str, device: torch.device | str = "cpu") -> Tensor:
        """Return a matrix ``[out, in]`` of floating-point numbers, however it is stored."""
        integers = self.integers(name, device)
        if integers is not None:
            return integers.dense()
        stored = self.tensor(name, device)
        scales = f"{name.removesuffix('weight')}SCB"
        if stored.dtype == torch.int8 and scales in self:
            return stored * (self.tensor(scales, device)[:, None] / 127)
        if stored.dtype == torch.uint8:
            return self._dequantized(name, stored)
        return stored

    def _is_integers(self, name: str) -> bool:
        if self.form is None or not name.endswith(".weight"):
            return False
        return f"{name.removesuffix('weight')}{self.form.anchor}" in self._places

    def _dequantized(self, name: str, stored: Tensor) -> Tensor:
        from bitsandbytes.functional import QuantState, dequantize_4bit  # takes seconds to import

        prefix = f"{name}."
        parts = [key for key in self._places if key.startswith(prefix)]
        state = {key.removeprefix(prefix): self.tensor(key, stored.device) for key in parts}
        matrix: Tensor = dequantize_4bit(stored, QuantState.from_dict(state, stored.device))
        return matrix


def _renamed(name: str, renaming: Mapping[str, str]) -> str:
    for pattern, replacement in renaming.items():
        name, count = re.subn(pattern, replacement, name)
        if count:
            break
    return name
