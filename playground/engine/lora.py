"""Adapters in the batch: stacked LoRA matrices, chosen row by row, beside the resident base.

The base's modules stay as they are; their output for a row gains ``up @ down @ x`` of the row's
adapter. Modules that read the same rows share one `LoraLinear`, whose ``down`` is one matmul. Where
a step's rows use many adapters, the matrices of all resident ones lie side by side: two matmuls
whatever their number, and a mask that zeroes the columns of other rows' adapters. An adapter that
has all rows of a step, or many, has a matmul of its own. A row's result is the same either way:
ranks are padded to multiples of sixteen, with which sums come out bit for bit the same
(docs/log.md, "When does a row's result depend on its neighbours' adapters?"). Source of the method:
S-LoRA (arXiv:2311.03285) and Punica (arXiv:2310.18547), here without their kernels.

Lives on the engine's thread. Knows slots; knows no names and no requests.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel

from playground.engine.linear import MKL_ROWS, PACKED_ROWS, PackedLinear, can_pack
from playground.models.adapters import Adapter
from playground.models.loaded import wants_one_thread

RANK_MULTIPLE = 16
BASE = -1
"""The slot of rows that the base answers alone."""
MIN_OWN_ROWS = {torch.float32: 64}
"""Minimum rows for a separate per-adapter matmul beside other rows; in 16 bits it is never worth it
(docs/log.md, "Adapters by runs of rows")."""


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Rows ``begin … end`` of a step, answered by the adapters in slots ``first_slot … end_slot``.

    ``mixed``: by several, which a mask tells apart; otherwise by one. ``whole``: all rows of the
    step.
    """

    begin: int
    end: int
    first_slot: int
    end_slot: int
    whole: bool
    mixed: bool = False


class StepAdapters:
    """The adapters of one step's rows, an argument of the step (see `attention.Step`).

    ``spans`` are the rows that any adapter answers, the mixed ones first; ``slots`` ``[rows]`` is
    read where they are mixed. `AdapterBank.for_rows` makes it.
    """

    def __init__(
        self, spans: tuple[RowSpan, ...], slots: Tensor, padded_rank: int, dtype: torch.dtype
    ) -> None:
        self.spans = spans
        self._slots = slots
        self._padded_rank = padded_rank
        self._dtype = dtype
        self._masks: dict[int, Tensor] = {}

    def mask(self, modules: int) -> Tensor:
        """Return ``[mixed rows, modules * columns]``: one where a column is of the row's adapter.

        ``columns`` are the padded ranks of all slots in the mixed span.
        """
        if modules not in self._masks:
            span = self.spans[0]
            columns = torch.arange(span.end_slot, device=self._slots.device)
            chosen = (self._slots[: span.end, None] == columns).to(self._dtype)
            by_rank = chosen.repeat_interleave(self._padded_rank, dim=1)
            self._masks[modules] = by_rank.repeat(1, modules)
        return self._masks[modules]


class LoraLinear:
    """All slots' matrices for linear modules that read the same rows; allocated when needed.

    ``down`` is ``[modules, slots, padded_rank, in]``; ``ups`` are ``[slots, padded_rank, out]``,
    one a module.
    """

    def __init__(self, bank: "AdapterBank", modules: Sequence[nn.Module]) -> None:
        self._bank = bank
        sizes = [(int(m.in_features), int(m.out_features)) for m in modules]  # type: ignore[arg-type]
        self._in_features = sizes[0][0]
        self._out_features = [out_features for _, out_features in sizes]
        self._down: Tensor | None = None
        self._ups: list[Tensor] = []
        self._matmuls: dict[tuple[int, int], LoraMatmul] = {}

    def clear(self) -> None:
        """Hold nothing; the next `write` allocates the bank's present slots and padded rank."""
        self._down = None
        self._matmuls.clear()

    def write(self, slot: int, adapter: Adapter, paths: Sequence[str]) -> None:
        """Put an adapter's matrices for the modules at ``paths`` into a slot."""
        for first, end in [key for key in self._matmuls if key[0] <= slot < key[1]]:
            del self._matmuls[first, end]
        pairs = [adapter.modules.get(path) for path in paths]
        if self._down is None:
            if not any(pairs):
                return
            self._bank.generation += 1
            slots, rank = self._bank.allocated, self._bank.padded_rank
            self._down = self._bank.zeros(len(paths), slots, rank, self._in_features)
            self._ups = [self._bank.zeros(slots, rank, features) for features in self._out_features]
        self._down[:, slot] = 0
        for down, pair, up in zip(self._down, pairs, self._ups, strict=True):
            up[slot] = 0
            if pair is not None:
                down[slot, : pair.rank] = pair.down.to(up)
                up[slot, : pair.rank] = pair.up.T.to(up)

    def __call__(self, x: Tensor, output: Tensor, adapters: StepAdapters) -> Tensor:
        """Add each row's adapter to ``output``, the modules' results ``[rows, out]`` side by side.

        ``output`` is overwritten; the sum may come back in it or in another tensor.
        """
        down = self._down
        if down is None:
            return output
        for span in adapters.spans:
            mask = adapters.mask(len(self._out_features)) if span.mixed else None
            matmul = self._matmul(down, span.first_slot, span.end_slot)
            if span.whole:
                return matmul(x, mask, output)
            part = output[span.begin : span.end]
            added = matmul(x[span.begin : span.end], mask, part)
            if added is not part:
                part.copy_(added)
        return output

    def _matmul(self, down: Tensor, first_slot: int, end_slot: int) -> "LoraMatmul":
        """Return the cached matmul for slots ``first_slot … end_slot``."""
        cached = self._matmuls.get((first_slot, end_slot))
        if cached is not None:
            return cached
        make = PackedLoraMatmul if self._bank.uses_packed_matmul else PlainLoraMatmul
        ups = [up[first_slot:end_slot].flatten(0, 1) for up in self._ups]
        made = make(down[:, first_slot:end_slot].flatten(0, 2), ups)
        self._matmuls[first_slot, end_slot] = made
        return made


class PlainLoraMatmul:
    """With ``down`` ``[modules * columns, in]`` and ``ups`` ``[columns, out]``, one a module."""

    def __init__(self, down: Tensor, ups: Sequence[Tensor]) -> None:
        self._down = down
        self._ups = ups
        self._columns = ups[0].shape[0]
        self._out_features = [up.shape[1] for up in ups]

    def __call__(self, x: Tensor, mask: Tensor | None, output: Tensor) -> Tensor:
        """Add to ``output`` and return it; ``mask``, if any, is ``[rows, modules * columns]``."""
        lowered = linear(x, self._down)
        if mask is not None:
            lowered.mul_(mask)
        if len(self._ups) == 1:
            return output.addmm_(lowered, self._ups[0])
        by_module = torch.split(lowered, self._columns, dim=1)
        outputs = torch.split(output, self._out_features, dim=1)
        for part, z, up in zip(outputs, by_module, self._ups, strict=True):
            part.addmm_(z, up)
        return output


class PackedLoraMatmul:
    """The same by two packed matmuls; ``up`` is zero where a column is another module's."""

    def __init__(self, down: Tensor, ups: Sequence[Tensor]) -> None:
        self._down = PackedLinear(down)
        self._up = PackedLinear(torch.block_diag(*(up.T for up in ups)))  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor, mask: Tensor | None, output: Tensor) -> Tensor:
        """See `PlainLoraMatmul`; returns a new tensor."""
        lowered = self._down(x)
        if mask is not None:
            lowered.mul_(mask)
        return self._up(lowered, output)


LoraMatmul = PlainLoraMatmul | PackedLoraMatmul


class AdapterBank:
    """At most ``slots`` adapters resident at once, each with room for ``padded_rank``. On a GPU
    all slots are allocated with the first one, elsewhere as many as are needed: ``allocated``.

    A step that uses any has a multiple of ``row_multiple`` rows, and so have the mixed rows in it.
    ``generation`` counts how often matrices moved in memory.

    Small fp32 matmuls go through MKL, which costs less a call than oneDNN where the CPU's caches
    are cold, as they are in a step (docs/log.md, "What an adapter's products cost beside cold
    weights").
    """

    def __init__(self, model: PreTrainedModel, slots: int) -> None:
        self.slots = slots
        self.padded_rank = RANK_MULTIPLE
        self.allocated = 0
        self.generation = 0
        self._model = model
        self._dtype = model.dtype
        self._device = model.get_input_embeddings().weight.device
        uses_mkl = self._dtype == torch.float32 and wants_one_thread(model)
        self.uses_packed_matmul = can_pack(self._dtype, self._device) and not uses_mkl
        packed_rows = PACKED_ROWS[self._dtype] if self.uses_packed_matmul else 1
        self.row_multiple = MKL_ROWS if uses_mkl else packed_rows
        self._linears: dict[tuple[str, ...], LoraLinear] = {}
        self._resident: dict[int, Adapter] = {}
        self._no_slots = torch.empty(0, dtype=torch.long, device=self._device)
        self._latest: tuple[list[int], StepAdapters] | None = None
        self._used_by_hooks: StepAdapters | None = None

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros in the model's dtype, on the model's device."""
        return torch.zeros(shape, dtype=self._dtype, device=self._device)

    def lora_linear(self, *paths: str) -> LoraLinear:
        """Return the `LoraLinear` of these modules, which read the same rows."""
        if paths not in self._linears:
            modules = [self._model.get_submodule(path) for path in paths]
            self._linears[paths] = LoraLinear(self, modules)
        return self._linears[paths]

    @torch.inference_mode()
    def put(self, slot: int, adapter: Adapter) -> None:
        """Make an adapter resident; it must fit the model (`check_fits`)."""
        self._resident[slot] = adapter
        self._latest = None
        covered = {path for paths in self._linears for path in paths}
        for path in adapter.modules:
            if path not in covered:
                self._hook(path)
        padded_rank = -(-adapter.rank // RANK_MULTIPLE) * RANK_MULTIPLE
        needed = self._rounded(slot + 1)
        written = {slot: adapter}
        if padded_rank > self.padded_rank or needed > self.allocated:
            self.padded_rank = max(self.padded_rank, padded_rank)
            self.allocated = max(self.allocated, needed)
            written = self._resident
            for lora_linear in self._linears.values():
                lora_linear.clear()
        for paths, lora_linear in self._linears.items():
            for written_slot, resident in written.items():
                lora_linear.write(written_slot, resident, paths)

    def for_rows(self, slots: list[int]) -> StepAdapters:
        """Return the adapters of a step whose rows use these slots; decode steps repeat them."""
        if self._latest is None or self._latest[0] != slots:
            spans = self.spans(slots)
            mixed = bool(spans) and spans[0].mixed
            tensor = torch.tensor(slots, device=self._device) if mixed else self._no_slots
            self._latest = slots, self.for_tensor(spans, tensor)
        return self._latest[1]

    def for_tensor(self, spans: tuple[RowSpan, ...], slots: Tensor) -> StepAdapters:
        """The same with the rows' slots in a tensor, which a captured step goes on reading."""
        return StepAdapters(spans, slots, self.padded_rank, self._dtype)

    def spans(self, slots: Sequence[int]) -> tuple[RowSpan, ...]:
        """Return the mixed rows, and each run of rows of one adapter that follows."""
        count = len(slots)
        mixed = end = self._mixed_rows(slots)
        spans = []
        if mixed:
            end_slot = self._rounded(max(slots[:mixed]) + 1)
            spans.append(RowSpan(0, mixed, 0, end_slot, whole=mixed == count, mixed=True))
        for slot, rows in itertools.groupby(slots[mixed:]):
            begin, end = end, end + len(list(rows))
            if slot != BASE:
                spans.append(RowSpan(begin, end, slot, slot + 1, whole=end - begin == count))
        return tuple(spans)

    def _mixed_rows(self, slots: Sequence[int]) -> int:
        """Return how many rows, from the first on, adapters answer together.

        On a GPU all of them, as in captured steps. Elsewhere long runs of one adapter follow.
        """
        if self._device.type == "cuda":
            return len(slots) if max(slots) != BASE else 0
        min_own_rows = min(MIN_OWN_ROWS.get(self._dtype, sys.maxsize), len(slots))
        mixed = end = 0
        for slot, rows in itertools.groupby(slots):
            begin, end = end, end + len(list(rows))
            if slot != BASE and end - begin < min_own_rows:
                mixed = end
        return min(-(-mixed // self.row_multiple) * self.row_multiple, len(slots))

    def _rounded(self, slots: int) -> int:
        """Round up so that few different matmuls are kept, and matrices seldom allocated anew.

        On a GPU it is always all slots, whose matrices are never copied, so that captured steps see
        what is written into one.
        """
        if self._device.type == "cuda":
            return self.slots
        return min(self.slots, 1 << (slots - 1).bit_length())

    @contextmanager
    def hooks_use(self, adapters: StepAdapters) -> Iterator[None]:
        """Give these rows to the hooks while a forward that is not ours runs.

        transformers hands no argument of ours down to its linear modules, so that their hooks can
        find the step's adapters nowhere else.
        """
        self._used_by_hooks = adapters
        try:
            yield
        finally:
            self._used_by_hooks = None

    def _hook(self, path: str) -> None:
        """Let a module that transformers calls add its rows' adapters by itself."""
        lora_linear = self.lora_linear(path)

        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            adapters = self._used_by_hooks
            if adapters is None or not adapters.spans:
                return None
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).to(self._dtype)
            rows = output.reshape(-1, output.shape[-1]).to(self._dtype)
            return lora_linear(x, rows, adapters).view(output.shape).to(output.dtype)

        self._model.get_submodule(path).register_forward_hook(add)
