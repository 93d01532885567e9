"""Attention over a packed step: tokens of many sequences in one forward, each seeing its own past.

Each segment is attended on its own and its shape depends on its own sequence alone, so that an
answer is the same to the last bit whatever else runs. One call of scaled dot product attention a
sequence costs a CPU no more than a padded batch (docs/log.md); what a step needs of the caches is
looked up once for all layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from playground.engine.kv_cache import SequenceCache

NAME = "playground_packed"
PRODUCTS_FROM = 192
"""Keys from which on one bf16 query is attended by two matrix products on a CPU: there the fused
kernel converts all it reads, and took twice as long at 600 keys (docs/log.md)."""


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """Rows ``first_row …`` of a step are the tokens ``start … stop`` of one sequence."""

    cache: SequenceCache
    first_row: int
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """Its rows in the packed step."""
        return slice(self.first_row, self.first_row + self.stop - self.start)


def register() -> str:
    """Make the function known to transformers; returns the name to set on a model."""
    AttentionInterface.register(NAME, packed_attention)
    return NAME


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - transformers' signature; None by construction
    *,
    step: "PackedStep",
    scaling: float | None = None,
    sliding_window: int | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function: `PackedStep.attend` for a model of its.

    ``query`` is ``[1, heads, rows, head_dim]``, ``key`` and ``value`` are
    ``[1, kv_heads, rows, head_dim]``; returns ``[1, rows, heads, head_dim]``.
    """
    for name in ("softcap", "s_aux"):
        if unused.get(name) is not None:
            raise NotImplementedError(f"attention with {name} is not served")
    own, keys, values = (each[0].transpose(0, 1) for each in (query, key, value))
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    return step.attend(layer, own, keys, values, scaling, sliding_window)[None], None


class PackedStep:
    """One step's segments, and views of their caches layer by layer, made by one call for all
    layers of a sequence. Segments of one token have a way of their own, whatever is beside them.
    ``longest`` is the number of tokens of the longest sequence so far.
    """

    def __init__(self, segments: Sequence[PackedSegment], layers: int) -> None:
        self._layers = layers
        self._segments = segments
        self._singles = [at for at, each in enumerate(segments) if each.stop - each.start == 1]
        self._chunks = [at for at, each in enumerate(segments) if each.stop - each.start > 1]
        rows = [segments[at].first_row for at in self._singles]
        self._single_rows: list[int] | slice = rows
        if rows == list(range(len(rows))):
            self._single_rows = slice(0, len(rows))
        self.longest = max(each.stop for each in segments)
        self._reads: list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]] = []
        self._single_writes: list[list[Tensor]] = []

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float | None,
        window: int | None = None,
    ) -> Tensor:
        """Attention of one layer for all rows of the step; stores its keys and values.

        ``query`` is ``[rows, heads, head_dim]``, ``key`` and ``value`` are
        ``[rows, kv_heads, head_dim]``; returns ``[rows, heads, head_dim]``. Rows that belong to no
        segment (padding) come back as zeros.
        """
        if not self._reads:
            self._look_up(key, value)
        self._write(layer, key, value)
        alone = self._attend_singles(layer, query, scaling, window)
        if alone is not None and alone.shape[0] == query.shape[0]:
            return alone
        output = query.new_zeros(*query.shape[:2], value.shape[-1])
        if alone is not None:
            output[self._single_rows] = alone
        for at in self._chunks:
            segment, (keys, values) = self._segments[at], self._reads[at]
            output[segment.rows] = _attend_chunk(
                query[segment.rows], keys[layer], values[layer], scaling=scaling, window=window
            )
        return output

    def _look_up(self, key: Tensor, value: Tensor) -> None:
        like = key[:1].transpose(0, 1), value[:1].transpose(0, 1)
        for segment in self._segments:
            segment.cache.make(self._layers, *like)
        stored = [segment.cache.read(0, segment.stop) for segment in self._segments]
        self._reads = [
            (keys.unsqueeze(1).unbind(), values.unsqueeze(1).unbind()) for keys, values in stored
        ]
        last = [stored[at][which][:, :, -1].unbind() for which in (0, 1) for at in self._singles]
        self._single_writes = list(map(list, zip(*last, strict=True)))

    def _write(self, layer: int, key: Tensor, value: Tensor) -> None:
        """All segments' before any is attended: two of them may be of one sequence."""
        rows = self._single_rows
        if self._singles:
            new = [*key[rows].unbind(), *value[rows].unbind()]
            torch._foreach_copy_(self._single_writes[layer], new)
        for at in self._chunks:
            segment, (keys, values) = self._segments[at], self._reads[at]
            keys[layer][0, :, segment.start :] = key[segment.rows].transpose(0, 1)
            values[layer][0, :, segment.start :] = value[segment.rows].transpose(0, 1)

    def _attend_singles(
        self, layer: int, query: Tensor, scaling: float | None, window: int | None
    ) -> Tensor | None:
        """Rows of one new token each, to which every key in reach is visible."""
        if not self._singles:
            return None
        attended = []
        by_products = query.dtype == torch.bfloat16 and query.device.type == "cpu"
        kv_heads = self._reads[self._singles[0]][0][layer].shape[1]
        # heads that share a key head are rows of one product
        group = query.shape[1] // kv_heads
        grouped = query[self._single_rows].reshape(-1, 1, kv_heads, group, query.shape[2])
        for at, one in zip(self._singles, grouped.unbind(), strict=True):
            keys, values = self._reads[at][0][layer], self._reads[at][1][layer]
            if window and keys.shape[2] > window:
                keys, values = keys[:, :, -window:], values[:, :, -window:]
            if by_products and keys.shape[2] >= PRODUCTS_FROM:
                attended.append(_attend_by_products(one, keys, values, scaling))
            else:
                attended.append(scaled_dot_product_attention(one, keys, values, scale=scaling))
        whole = torch.cat(attended) if len(attended) > 1 else attended[0]
        return whole.reshape(len(attended), query.shape[1], -1)


def _attend_by_products(
    query: Tensor, keys: Tensor, values: Tensor, scaling: float | None
) -> Tensor:
    """``query`` ``[1, kv_heads, group, head_dim]``; the softmax in fp32."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query[0], keys[0].transpose(1, 2)).float() * scale
    return torch.matmul(scores.softmax(dim=-1).to(values.dtype), values[0])[None]


def _attend_chunk(
    query: Tensor, keys: Tensor, values: Tensor, *, scaling: float | None, window: int | None
) -> Tensor:
    """A piece of a prompt, ``query`` ``[n, heads, head_dim]``, ``keys`` and ``values``
    ``[1, kv_heads, stop, head_dim]``: causal within and before it.
    """
    stop, start = keys.shape[2], keys.shape[2] - query.shape[0]
    mask = None
    if start > 0 or window:
        place = torch.arange(stop, device=query.device)
        own = place[start:, None]
        mask = place <= own
        if window:
            mask &= place > own - window
    attended = scaled_dot_product_attention(
        query.transpose(0, 1)[None],
        keys,
        values,
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=query.shape[1] != keys.shape[1],
    )
    return attended[0].transpose(0, 1)
