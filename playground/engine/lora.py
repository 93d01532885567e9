"""Adapters in the batch: stacked LoRA matrices, chosen row by row, beside the resident base.

The base's modules stay as they are; a forward hook adds ``up @ down @ x`` of each row's adapter.
All residents' matrices lie side by side, so that a step costs two products a module whatever the
number of adapters in it, and a row's result does not depend on the others: the rows of its
neighbours' adapters are multiplied by zero, and slots are whole multiples of sixteen columns, with
which sums come out bit for bit the same (docs/log.md). Source of the method: S-LoRA
(arXiv:2311.03285) and Punica (arXiv:2310.18547), here without their kernels.

Lives on the engine's thread. Knows slots; knows no names, no requests.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from playground.models.adapters import Adapter

COLUMN_MULTIPLE = 16
BASE = -1
"""The slot of rows that the base answers alone."""


class _Stack:
    """One module's matrices of all slots: ``down`` ``[columns, in]``, ``up`` ``[columns, out]``."""

    def __init__(self, module: nn.Module, columns: int, dtype: torch.dtype) -> None:
        device = next(module.parameters()).device
        inputs, outputs = int(module.in_features), int(module.out_features)  # type: ignore[arg-type]
        self.down = torch.zeros(columns, inputs, dtype=dtype, device=device)
        self.up = torch.zeros(columns, outputs, dtype=dtype, device=device)


class AdapterBank:
    """``slots`` adapters resident at once."""

    def __init__(self, model: nn.Module, dtype: torch.dtype, slots: int) -> None:
        self.slots = slots
        self._model = model
        self._dtype = dtype
        self._width = COLUMN_MULTIPLE
        self._stacks: dict[str, _Stack] = {}
        self._held: dict[int, Adapter] = {}
        self._mask: Tensor | None = None
        self._columns = slice(0, 0)

    @torch.inference_mode()
    def put(self, slot: int, adapter: Adapter) -> None:
        """Make an adapter resident; it must fit the model (`check_fits`)."""
        self._held[slot] = adapter
        width = -(-adapter.rank // COLUMN_MULTIPLE) * COLUMN_MULTIPLE
        if width > self._width:
            self._width = width
            self._stacks = {path: self._new_stack(path) for path in self._stacks}
            for other, held in self._held.items():
                self._write(other, held)
        else:
            self._write(slot, adapter)

    def select(self, slots_of_rows: Sequence[int]) -> None:
        """Say which slot answers each row of the coming step."""
        if all(slot == BASE for slot in slots_of_rows):
            self._mask = None
            return
        first = min(slot for slot in slots_of_rows if slot != BASE)
        self._columns = slice(first * self._width, (max(slots_of_rows) + 1) * self._width)
        rows = torch.tensor(slots_of_rows)
        columns = torch.arange(self._columns.start, self._columns.stop) // self._width
        device = self._model.get_input_embeddings().weight.device  # type: ignore[operator]
        self._mask = (rows[:, None] == columns).to(device=device, dtype=self._dtype)

    def _write(self, slot: int, adapter: Adapter) -> None:
        own = slice(slot * self._width, (slot + 1) * self._width)
        for stack in self._stacks.values():
            stack.down[own] = 0
            stack.up[own] = 0
        for path, pair in adapter.modules.items():
            if path not in self._stacks:
                self._stacks[path] = self._new_stack(path)
                self._model.get_submodule(path).register_forward_hook(self._hook(path))
            stack = self._stacks[path]
            stop = own.start + pair.rank
            stack.down[own.start : stop] = pair.down.to(stack.down)
            stack.up[own.start : stop] = pair.up.T.to(stack.up)

    def _new_stack(self, path: str) -> _Stack:
        return _Stack(self._model.get_submodule(path), self.slots * self._width, self._dtype)

    def _hook(self, path: str) -> Any:
        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if self._mask is None:
                return None
            stack = self._stacks[path]
            rows = inputs[0].view(-1, inputs[0].shape[-1]).to(self._dtype)
            down = nn.functional.linear(rows, stack.down[self._columns]).mul_(self._mask)
            whole = output.view(-1, output.shape[-1]).to(self._dtype)
            return whole.addmm(down, stack.up[self._columns]).view(output.shape).to(output.dtype)

        return add
