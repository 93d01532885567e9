"""Attention over a packed step: tokens of many sequences in one forward, each seeing its own past.

Each segment is attended on its own and its shape depends on its own sequence alone, so that an
answer is the same to the last bit whatever else runs. One call of scaled dot product attention a
sequence costs a CPU no more than a padded batch (docs/log.md); what a step needs of the caches is
looked up once for all layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from playground.engine.kv_cache import SequenceCache

NAME = "playground_packed"
GROUPED_ROWS = 128
"""Up to how many rows of a piece of a prompt the heads that share a key head are rows of one
product: what the kernel prepares of the keys, once for a head, weighs most there (docs/log.md)."""


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
    step: "Step",
    scaling: float | None = None,
    sliding_window: int | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function: `Step.attend` for a model of its.

    ``query`` is ``[1, heads, rows, head_dim]``, ``key`` and ``value`` are
    ``[1, kv_heads, rows, head_dim]``; returns ``[1, rows, heads, head_dim]``.
    """
    for name in ("softcap", "s_aux"):
        if unused.get(name) is not None:
            raise NotImplementedError(f"attention with {name} is not served")
    own, keys, values = (each[0].transpose(0, 1) for each in (query, key, value))
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    return step.attend(layer, own, keys, values, scaling, sliding_window)[None], None


class Step(Protocol):
    """What a forward asks of attention. ``longest`` bounds the tokens of any sequence in it."""

    longest: int

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
        ``[rows, kv_heads, head_dim]``; returns ``[rows, heads, head_dim]``.
        """


class PackedStep:
    """One step's segments, and views of their caches layer by layer, made by one call for all
    layers of a sequence. Segments of one token have a way of their own, whatever is beside them.
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
        """See `Step`. Rows that belong to no segment (padding) come back as zeros."""
        if not self._reads:
            self._look_up(key, value)
        self._write(layer, key, value)
        if not self._chunks:
            return self._attend_singles(layer, query, value, scaling, window)
        output = query.new_zeros(*query.shape[:2], value.shape[-1])
        if self._singles:
            alone = self._attend_singles(layer, query, value, scaling, window)
            output[self._single_rows] = alone[: len(self._singles)]
        for at in self._chunks:
            rows = self._segments[at].rows
            if (at, window) not in self._masks:  # some models have layers with and without one
                self._masks[at, window] = _mask_of(self._segments[at], query, key, window)
            output[rows] = _attend_chunk(
                query[rows], *self._reads[layer][at], self._masks[at, window], scaling
            )
        return output

    def _look_up(self, key: Tensor, value: Tensor) -> None:
        """Views of all layers of each sequence: ``[1, kv_heads, stop, head_dim]`` of keys and
        values to read, ``[kv_heads, head_dim]`` where a single token's are put.
        """
        widest = key if key.shape[-1] >= value.shape[-1] else value
        for segment in self._segments:
            segment.cache.make(self._layers, widest[0])
        stored = [segment.cache.read(segment.stop) for segment in self._segments]
        whole = [each.unsqueeze(1).unbind() for each in stored]
        last = [stored[at][:, :, -1].unbind() for at in self._singles]
        for layer in range(2 * self._layers)[::2]:
            keys, values = [each[layer] for each in whole], [each[layer + 1] for each in whole]
            new_keys, new_values = [e[layer] for e in last], [e[layer + 1] for e in last]
            if key.shape[-1] != value.shape[-1]:  # they lie in room for the wider ones
                keys, new_keys = _narrowed(keys, key), _narrowed(new_keys, key)
                values, new_values = _narrowed(values, value), _narrowed(new_values, value)
            self._reads.append(list(zip(keys, values, strict=True)))
            self._single_writes.append(new_keys + new_values)

    def _write(self, layer: int, key: Tensor, value: Tensor) -> None:
        """All segments' before any is attended: two of them may be of one sequence."""
        rows = self._single_rows
        if self._singles:
            new = [*key[rows].unbind(), *value[rows].unbind()]
            torch._foreach_copy_(self._single_writes[layer], new)
        for at in self._chunks:
            segment = self._segments[at]
            keys, values = self._reads[layer][at]
            keys[0, :, segment.start :] = key[segment.rows].transpose(0, 1)
            values[0, :, segment.start :] = value[segment.rows].transpose(0, 1)

    def _attend_singles(
        self, layer: int, query: Tensor, value: Tensor, scaling: float | None, window: int | None
    ) -> Tensor:
        """Rows of one new token each, to which every key in reach is visible; as many rows of zeros
        as the step has others follow.

        In fp32 the heads that share a key head are the rows of one product; the kernel for 16 bits
        is faster with one row a head (docs/log.md).
        """
        heads, kv_heads = query.shape[1], value.shape[1]
        by_group = query.dtype == torch.float32
        shape = (kv_heads, heads // kv_heads) if by_group else (heads, 1)
        rows = query[self._single_rows].reshape(-1, 1, *shape, query.shape[2]).unbind()
        reads = self._reads[layer]
        if self._chunks:
            reads = [reads[at] for at in self._singles]
        if window and self.longest > window:
            reads = [(keys[:, :, -window:], values[:, :, -window:]) for keys, values in reads]
        attended = [
            scaled_dot_product_attention(one, keys, values, scale=scaling, enable_gqa=not by_group)
            for one, (keys, values) in zip(rows, reads, strict=True)
        ]
        others = query.shape[0] - len(attended)
        if others:
            attended.append(query.new_zeros(others, *shape, value.shape[2]))
        whole = torch.cat(attended) if len(attended) > 1 else attended[0]
        return whole.reshape(query.shape[0], heads, -1)


def _narrowed(views: list[Tensor], like: Tensor) -> list[Tensor]:
    return [view[..., : like.shape[-1]] for view in views]


def _mask_of(
    segment: PackedSegment, query: Tensor, key: Tensor, window: int | None
) -> Tensor | None:
    """What is added to the scores of a piece of a prompt, in the query's dtype: ``[rows, stop]``,
    once for each head of a group where these are the rows of one product. None where it is the
    triangle that attention knows itself.
    """
    if not segment.start and not window:
        return None
    place = torch.arange(segment.stop, device=query.device)
    own = place[segment.start :, None]
    hidden = place > own
    if window:
        hidden |= place <= own - window
    mask = query.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
    return mask.repeat(query.shape[1] // key.shape[1], 1) if len(own) <= GROUPED_ROWS else mask


def _attend_chunk(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float | None
) -> Tensor:
    """A piece of a prompt, ``query`` ``[n, heads, head_dim]``, ``keys`` and ``values``
    ``[1, kv_heads, stop, head_dim]``: causal within and before it.
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
