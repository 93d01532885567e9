"""Adapters in the batch: stacked LoRA matrices, chosen row by row, beside the resident base.

The base's modules stay as they are; what they give for a row gains ``up @ down @ x`` of the row's
adapter. Modules that read the same rows are a group, whose ``down`` is one product. Where a step's
rows are of many adapters, all residents' matrices lie side by side, so that it costs two products a
group whatever their number; an adapter that has all rows, or many, has products of its own. A row's
result is the same either way: its neighbours' adapters are multiplied by zero, and slots are whole
multiples of sixteen columns, with which sums come out bit for bit the same (docs/log.md). Source of
the method: S-LoRA (arXiv:2311.03285) and Punica (arXiv:2310.18547), here without their kernels.

Lives on the engine's thread. Knows slots; knows no names, no requests.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel

from playground.engine.linear import MKL_ROWS, PACKED_ROWS, PackedLinear, can_pack
from playground.models.adapters import Adapter
from playground.models.loaded import wants_one_thread

COLUMN_MULTIPLE = 16
BASE = -1
"""The slot of rows that the base answers alone."""
OWN_ROWS = {torch.float32: 64}
"""From how many rows on an adapter's own products are worth their calls, beside others' rows; in 16
bits they never are (docs/log.md)."""


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Rows of a step that the adapters in the slots from ``first`` to before ``last`` answer:
    ``mixed``, so that a mask has to tell them apart, or all by one. ``whole``: all of the step's.
    """

    rows: slice
    first: int
    last: int
    whole: bool
    mixed: bool = False


class Group:
    """The matrices of all slots for modules that read the same rows; made when one is needed.

    ``down`` is ``[modules, slots, width, in]``; ``ups`` are ``[slots, width, out]``, one a module.
    """

    def __init__(self, bank: "AdapterBank", modules: Sequence[nn.Module]) -> None:
        self._bank = bank
        sizes = [(int(m.in_features), int(m.out_features)) for m in modules]  # type: ignore[arg-type]
        self._inputs = sizes[0][0]
        self._outputs = [outputs for _, outputs in sizes]
        self._down: Tensor | None = None
        self._ups: list[Tensor] = []
        self._ready: dict[tuple[int, int], LoraMatmul] = {}

    def clear(self) -> None:
        """Hold nothing; the next `write` makes room in the bank's present width."""
        self._down = None
        self._ready.clear()

    def write(self, slot: int, adapter: Adapter, paths: Sequence[str]) -> None:
        """Put an adapter's matrices for the modules of these paths into a slot."""
        for first, last in [each for each in self._ready if each[0] <= slot < each[1]]:
            del self._ready[first, last]
        pairs = [adapter.modules.get(path) for path in paths]
        if self._down is None:
            if not any(pairs):
                return
            self._bank.generation += 1
            slots, width = self._bank.slots, self._bank.width
            self._down = self._bank.zeros(len(paths), slots, width, self._inputs)
            self._ups = [self._bank.zeros(slots, width, outputs) for outputs in self._outputs]
        self._down[:, slot] = 0
        for own, pair, up in zip(self._down, pairs, self._ups, strict=True):
            up[slot] = 0
            if pair is not None:
                own[slot, : pair.rank] = pair.down.to(up)
                up[slot, : pair.rank] = pair.up.T.to(up)

    def __call__(self, x: Tensor, output: Tensor) -> Tensor:
        """What the modules gave side by side, ``[rows, out]``, and what each row's adapter adds;
        ``output`` is used up.
        """
        if self._down is None:
            return output
        for each in self._bank.stretches:
            mask = self._bank.mask(len(self._outputs)) if each.mixed else None
            products = self._products(each.first, each.last)
            if each.whole:
                return products(x, mask, output)
            own = output[each.rows]
            added = products(x[each.rows], mask, own)
            if added is not own:
                own.copy_(added)
        return output

    def _products(self, first: int, last: int) -> "LoraMatmul":
        """Those of these slots."""
        ready = self._ready.get((first, last))
        if ready is not None:
            return ready
        assert self._down is not None
        down = self._down[:, first:last].flatten(0, 2)
        ups = [up[first:last].flatten(0, 1) for up in self._ups]
        made = (PackedLoraMatmul if self._bank.packs else PlainLoraMatmul)(down, ups)
        self._ready[first, last] = made
        return made


class PlainLoraMatmul:
    """With ``down`` ``[modules * columns, in]`` and ``ups`` ``[columns, out]``, one a module."""

    def __init__(self, down: Tensor, ups: Sequence[Tensor]) -> None:
        self._down = down
        self._ups = ups
        self._columns = ups[0].shape[0]
        self._outputs = [up.shape[1] for up in ups]

    def __call__(self, x: Tensor, mask: Tensor | None, output: Tensor) -> Tensor:
        """``mask``, if any, is ``[rows, modules * columns]``; gives ``output``, added to."""
        rows = linear(x, self._down)
        if mask is not None:
            rows.mul_(mask)
        if len(self._ups) == 1:
            return output.addmm_(rows, self._ups[0])
        own = torch.split(rows, self._columns, dim=1)
        for part, z, up in zip(
            torch.split(output, self._outputs, dim=1), own, self._ups, strict=True
        ):
            part.addmm_(z, up)
        return output


class PackedLoraMatmul:
    """The same by two packed products; ``up`` is zero where a column is another module's."""

    def __init__(self, down: Tensor, ups: Sequence[Tensor]) -> None:
        self._down = PackedLinear(down)
        self._up = PackedLinear(torch.block_diag(*(up.T for up in ups)))  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor, mask: Tensor | None, output: Tensor) -> Tensor:
        """See `PlainLoraMatmul`; gives a tensor of its own."""
        rows = self._down(x)
        if mask is not None:
            rows.mul_(mask)
        return self._up(rows, output)


LoraMatmul = PlainLoraMatmul | PackedLoraMatmul


class AdapterBank:
    """``slots`` adapters resident at once. A step that uses any has whole multiples of
    ``row_multiple`` rows, and so have the mixed ones in it. ``generation`` counts how often
    matrices moved in memory.

    Small fp32 products go through MKL, which costs less a call than oneDNN does where the caches
    are cold, as they are in a step (docs/log.md).
    """

    def __init__(self, model: PreTrainedModel, slots: int) -> None:
        self.slots = slots
        self.width = COLUMN_MULTIPLE
        self.slots_in_step = 0
        self.stretches: list[RowSpan] = []
        self._model = model
        self._dtype = model.dtype
        self._device = model.get_input_embeddings().weight.device
        mkl = self._dtype == torch.float32 and wants_one_thread(model)
        self.packs = can_pack(self._dtype, self._device) and not mkl
        few = PACKED_ROWS[self._dtype] if self.packs else 1
        self.row_multiple = MKL_ROWS if mkl else few
        self._groups: dict[tuple[str, ...], Group] = {}
        self._held: dict[int, Adapter] = {}
        self._slots_of_rows: list[int] = []
        self._rows: Tensor | None = None
        self._masks: dict[int, Tensor] = {}
        self.generation = 0

    def zeros(self, *shape: int) -> Tensor:
        """In the model's dtype, where the model is."""
        return torch.zeros(shape, dtype=self._dtype, device=self._device)

    def group(self, *paths: str) -> Group:
        """The group of these linear modules, which read the same rows."""
        if paths not in self._groups:
            modules = [self._model.get_submodule(path) for path in paths]
            self._groups[paths] = Group(self, modules)
        return self._groups[paths]

    @torch.inference_mode()
    def put(self, slot: int, adapter: Adapter) -> None:
        """Make an adapter resident; it must fit the model (`check_fits`)."""
        self._held[slot] = adapter
        covered = {path for paths in self._groups for path in paths}
        for path in adapter.modules:
            if path not in covered:
                self._hook(path)
        width = -(-adapter.rank // COLUMN_MULTIPLE) * COLUMN_MULTIPLE
        fresh = {slot: adapter}
        if width > self.width:
            self.width, fresh = width, self._held
            for group in self._groups.values():
                group.clear()
        self._masks.clear()
        for paths, group in self._groups.items():
            for each, held in fresh.items():
                group.write(each, held, paths)

    def select(self, slots_of_rows: list[int]) -> None:
        """Say which slot answers each row of the coming step."""
        if slots_of_rows == self._slots_of_rows:
            return
        mixed = self._mixed_rows(slots_of_rows)
        self._slots_of_rows, self._rows = slots_of_rows, None
        self.slots_in_step = self._rounded(max(slots_of_rows[:mixed], default=BASE) + 1)
        self.stretches = self._stretches(slots_of_rows, mixed)
        self._masks.clear()

    def use(self, rows: Tensor) -> None:
        """Read the rows' slots, whose largest was said last, from this tensor: what is captured
        goes on reading it.
        """
        self._slots_of_rows, self._rows = [], rows
        self._masks.clear()

    def _mixed_rows(self, slots_of_rows: list[int]) -> int:
        """How many rows, from the first on, adapters answer together; on a GPU all, as in captured
        steps. What follows are long runs of rows of one.
        """
        if self._device.type == "cuda":
            return len(slots_of_rows) if max(slots_of_rows) != BASE else 0
        few = min(OWN_ROWS.get(self._dtype, sys.maxsize), len(slots_of_rows))
        mixed = end = 0
        for slot, rows in itertools.groupby(slots_of_rows):
            begin, end = end, end + len(list(rows))
            if slot != BASE and end - begin < few:
                mixed = end
        return min(-(-mixed // self.row_multiple) * self.row_multiple, len(slots_of_rows))

    def _stretches(self, slots_of_rows: list[int], mixed: int) -> list[RowSpan]:
        """The mixed rows, and each run that follows."""
        count = len(slots_of_rows)
        found, end = [], mixed
        if mixed:
            together = 0, self.slots_in_step
            found.append(RowSpan(slice(0, mixed), *together, whole=mixed == count, mixed=True))
        for slot, rows in itertools.groupby(slots_of_rows[mixed:]):
            begin, end = end, end + len(list(rows))
            if slot != BASE:
                whole = end - begin == count
                found.append(RowSpan(slice(begin, end), slot, slot + 1, whole=whole))
        return found

    def _rounded(self, count: int) -> int:
        """So that there are few different products to keep; on a GPU always all, which are never
        copied, so that captured steps see what is written into a slot.
        """
        if not count or self._device.type == "cuda":
            return self.slots if count else 0
        return min(self.slots, 1 << (count - 1).bit_length())

    def mask(self, modules: int) -> Tensor:
        """``[rows, columns]``: one where a column of a group of so many modules is the row's, for
        the rows that are mixed.
        """
        if modules not in self._masks:
            if self._rows is None:
                mixed = self._slots_of_rows[self.stretches[0].rows]
                self._rows = torch.tensor(mixed, device=self._device)
            slots = torch.arange(self.slots_in_step, device=self._device)
            own = (self._rows[:, None] == slots).to(self._dtype)
            self._masks[modules] = own.repeat_interleave(self.width, dim=1).repeat(1, modules)
        return self._masks[modules]

    def _hook(self, path: str) -> None:
        """A group of one for a module that is called by a forward that is not ours."""
        group = self.group(path)

        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if not self.stretches:
                return None
            rows = inputs[0].reshape(-1, inputs[0].shape[-1]).to(self._dtype)
            whole = output.reshape(-1, output.shape[-1]).to(self._dtype)
            return group(rows, whole).view(output.shape).to(output.dtype)

        self._model.get_submodule(path).register_forward_hook(add)
