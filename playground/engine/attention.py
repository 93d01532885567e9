"""Attention over a packed step: tokens of many sequences in one forward, each seeing its own past.

Each chunk is attended on its own and its shape depends on its own sequence alone, so that an answer
is the same to the last bit whatever else runs. On a CPU one call of scaled dot product attention a
sequence costs no more than a padded batch (docs/log.md, "Paged gather against contiguous caches");
views into the caches are made once a step, for all layers.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from playground.engine.batch import ScheduledChunk
from playground.engine.lora import StepAdapters

ATTENTION_NAME = "playground_packed"
MAX_GROUPED_ROWS = 128
"""Up to this many rows of a chunk the query heads of one key head are rows of one matmul: the
kernel's preparation of the keys, once a head, weighs most there (docs/log.md, "Pieces of a prompt
under a mask")."""


def register_attention() -> str:
    """Make `packed_attention` known to transformers; return the name to set on a model."""
    AttentionInterface.register(ATTENTION_NAME, packed_attention)
    return ATTENTION_NAME


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - transformers' signature; None by construction
    *,
    step: "Step",
    scaling: float | None = None,
    sliding_window: int | None = None,
    **unused: object,
) -> tuple[Tensor, None]:
    """Call `Step.attend` for one of transformers' attention modules.

    ``query`` is ``[1, heads, rows, head_dim]``, ``key`` and ``value`` are
    ``[1, kv_heads, rows, head_dim]``; returns ``[1, rows, heads, head_dim]``.
    """
    for name in ("softcap", "s_aux"):
        if unused.get(name) is not None:
            raise NotImplementedError(f"attention with {name} is not served")
    queries, keys, values = (heads[0].transpose(0, 1) for heads in (query, key, value))
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    return step.attend(layer, queries, keys, values, scaling, sliding_window)[None], None


class Step(Protocol):
    """A step as its forward sees it: attention over its rows, and the adapters of its rows.

    No sequence in it has more than ``max_seqlen_k`` tokens.
    """

    max_seqlen_k: int
    adapters: StepAdapters

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float | None,
        window: int | None = None,
    ) -> Tensor:
        """Store the rows' keys and values of one layer and attend all rows.

        ``query`` is ``[rows, heads, head_dim]``, ``key`` and ``value`` are
        ``[rows, kv_heads, head_dim]``; returns ``[rows, heads, head_dim]``.
        """


class PackedStep:
    """A `Step` over contiguous caches. Chunks of one token take their own path, whatever is beside
    them.
    """

    def __init__(
        self, chunks: Sequence[ScheduledChunk], layers: int, adapters: StepAdapters
    ) -> None:
        self.max_seqlen_k = max(chunk.stop for chunk in chunks)
        self.adapters = adapters
        self._layers = layers
        self._chunks = chunks
        ends = accumulate(len(chunk.token_ids) for chunk in chunks)
        self._rows = [
            slice(end - len(chunk.token_ids), end) for chunk, end in zip(chunks, ends, strict=True)
        ]
        self._singles = [i for i, chunk in enumerate(chunks) if len(chunk.token_ids) == 1]
        self._longer = [i for i, chunk in enumerate(chunks) if len(chunk.token_ids) > 1]
        rows = [self._rows[i].start for i in self._singles]
        self._single_rows: list[int] | slice = rows
        if rows == list(range(len(rows))):
            self._single_rows = slice(0, len(rows))
        self._reads: list[list[tuple[Tensor, Tensor]]] = []
        self._single_writes: list[list[Tensor]] = []
        self._masks: dict[tuple[int, int | None], Tensor | None] = {}

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float | None,
        window: int | None = None,
    ) -> Tensor:
        """See `Step`. Rows that belong to no chunk (padding) come back as zeros."""
        if not self._reads:
            self._make_views(key, value)
        self._write(layer, key, value)
        if not self._longer:
            return self._attend_singles(layer, query, value, scaling, window)
        output = query.new_zeros(*query.shape[:2], value.shape[-1])
        if self._singles:
            singles = self._attend_singles(layer, query, value, scaling, window)
            output[self._single_rows] = singles[: len(self._singles)]
        for i in self._longer:
            rows = self._rows[i]
            if (i, window) not in self._masks:  # some models have layers with and without one
                self._masks[i, window] = _chunk_mask(self._chunks[i], query, key, window)
            output[rows] = _attend_chunk(
                query[rows], *self._reads[layer][i], self._masks[i, window], scaling
            )
        return output

    def _make_views(self, key: Tensor, value: Tensor) -> None:
        """Make views of all layers of each sequence: ``[1, kv_heads, stop, head_dim]`` to read keys
        and values, ``[kv_heads, head_dim]`` to write those of a single token.
        """
        wider = key if key.shape[-1] >= value.shape[-1] else value
        for chunk in self._chunks:
            chunk.cache.allocate(self._layers, wider[0])
        stored = [chunk.cache.read(chunk.stop) for chunk in self._chunks]
        by_chunk = [tensor.unsqueeze(1).unbind() for tensor in stored]
        last = [stored[i][:, :, -1].unbind() for i in self._singles]
        for layer in range(2 * self._layers)[::2]:
            keys, values = [v[layer] for v in by_chunk], [v[layer + 1] for v in by_chunk]
            new_keys, new_values = [v[layer] for v in last], [v[layer + 1] for v in last]
            if key.shape[-1] != value.shape[-1]:  # the narrower lie in room for the wider ones
                keys, new_keys = _narrowed(keys, key), _narrowed(new_keys, key)
                values, new_values = _narrowed(values, value), _narrowed(new_values, value)
            self._reads.append(list(zip(keys, values, strict=True)))
            self._single_writes.append(new_keys + new_values)

    def _write(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Store all chunks before any is attended: two of them may be of one sequence."""
        rows = self._single_rows
        if self._singles:
            new = [*key[rows].unbind(), *value[rows].unbind()]
            torch._foreach_copy_(self._single_writes[layer], new)
        for i in self._longer:
            start = self._chunks[i].start
            keys, values = self._reads[layer][i]
            keys[0, :, start:] = key[self._rows[i]].transpose(0, 1)
            values[0, :, start:] = value[self._rows[i]].transpose(0, 1)

    def _attend_singles(
        self, layer: int, query: Tensor, value: Tensor, scaling: float | None, window: int | None
    ) -> Tensor:
        """Attend the rows of single tokens, each of which sees every key in reach; one row of zeros
        follows for each of the step's other rows.

        In fp32 the query heads of one key head are rows of one matmul; the 16-bit kernel is faster
        with one row a head (docs/log.md, "An operation costs ten times as much in a step as in a
        loop").
        """
        heads, kv_heads = query.shape[1], value.shape[1]
        grouped = query.dtype == torch.float32
        shape = (kv_heads, heads // kv_heads) if grouped else (heads, 1)
        queries = query[self._single_rows].reshape(-1, 1, *shape, query.shape[2]).unbind()
        reads = self._reads[layer]
        if self._longer:
            reads = [reads[i] for i in self._singles]
        if window and self.max_seqlen_k > window:
            reads = [(keys[:, :, -window:], values[:, :, -window:]) for keys, values in reads]
        attended = [
            scaled_dot_product_attention(row, keys, values, scale=scaling, enable_gqa=not grouped)
            for row, (keys, values) in zip(queries, reads, strict=True)
        ]
        others = query.shape[0] - len(attended)
        if others:
            attended.append(query.new_zeros(others, *shape, value.shape[2]))
        joined = torch.cat(attended) if len(attended) > 1 else attended[0]
        return joined.reshape(query.shape[0], heads, -1)


def _narrowed(views: list[Tensor], like: Tensor) -> list[Tensor]:
    return [view[..., : like.shape[-1]] for view in views]


def _chunk_mask(
    chunk: ScheduledChunk, query: Tensor, key: Tensor, window: int | None
) -> Tensor | None:
    """Return a chunk's additive mask ``[rows, stop]`` in the query's dtype, repeated for each head
    of a group where those are rows of one matmul; None for the plain causal triangle.
    """
    if not chunk.start and not window:
        return None
    positions = torch.arange(chunk.stop, device=query.device)
    row_positions = positions[chunk.start :, None]
    hidden = positions > row_positions
    if window:
        hidden |= positions <= row_positions - window
    mask = query.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
    if len(row_positions) > MAX_GROUPED_ROWS:
        return mask
    return mask.repeat(query.shape[1] // key.shape[1], 1)


def _attend_chunk(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float | None
) -> Tensor:
    """Attend a chunk's ``query`` ``[rows, heads, head_dim]`` to ``keys`` and ``values``
    ``[1, kv_heads, stop, head_dim]``: causal within the chunk and before it.
    """
    rows, heads = query.shape[:2]
    group = 1 if mask is None else mask.shape[0] // rows
    attended = scaled_dot_product_attention(
        query.transpose(0, 1).reshape(1, heads // group, group * rows, -1),
        keys,
        values,
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=group == 1,
    )
    return attended.reshape(heads, rows, -1).transpose(0, 1)
