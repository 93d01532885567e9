"""Attention over a packed step: tokens of many sequences in one forward, each seeing its own past.

Registered with transformers' `AttentionInterface`, so that any model whose attention goes through
it can be served. Each segment is attended on its own and its shape depends on its own sequence
alone, so that an answer is the same to the last bit whatever else runs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from playground.engine.kv_cache import SequenceCache

NAME = "playground_packed"


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
    segments: list[PackedSegment],
    scaling: float | None = None,
    sliding_window: int | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer for all rows of a step.

    ``query`` is ``[1, heads, rows, head_dim]``, ``key`` and ``value`` are
    ``[1, kv_heads, rows, head_dim]``; returns ``[1, rows, heads, head_dim]``. Rows that belong to
    no segment (padding) come back as zeros.
    """
    for name in ("softcap", "s_aux"):
        if unused.get(name) is not None:
            raise NotImplementedError(f"attention with {name} is not served")
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    output = query.new_zeros(query.shape[2], query.shape[1], value.shape[-1])
    for segment in segments:
        segment.cache.write(
            layer, segment.start, key[0, :, segment.rows], value[0, :, segment.rows]
        )
    for segment in segments:
        attend = _attend_one if segment.stop - segment.start == 1 else _attend_chunk
        output[segment.rows] = attend(
            query[0, :, segment.rows], segment, layer, scaling, sliding_window
        )
    return output.unsqueeze(0), None


def _attend_one(
    query: Tensor, segment: PackedSegment, layer: int, scaling: float | None, window: int | None
) -> Tensor:
    """One new token, ``query`` ``[heads, 1, head_dim]``: every key in reach is visible to it."""
    oldest = max(0, segment.stop - window) if window else 0
    keys, values = segment.cache.read(layer, oldest, segment.stop)
    grouped = query.reshape(1, keys.shape[0], -1, query.shape[-1])  # heads that share a key head
    attended = scaled_dot_product_attention(grouped, keys[None], values[None], scale=scaling)
    return attended.reshape(1, query.shape[0], -1)


def _attend_chunk(
    query: Tensor, segment: PackedSegment, layer: int, scaling: float | None, window: int | None
) -> Tensor:
    """A piece of a prompt, ``query`` ``[heads, n, head_dim]``: causal within and before it."""
    keys, values = segment.cache.read(layer, 0, segment.stop)
    mask = None
    if segment.start > 0 or window:
        place = torch.arange(segment.stop, device=query.device)
        own = place[segment.start :, None]
        mask = place <= own
        if window:
            mask &= place > own - window
    attended = scaled_dot_product_attention(
        query[None],
        keys[None],
        values[None],
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=query.shape[0] != keys.shape[0],
    )
    return attended[0].transpose(0, 1)
