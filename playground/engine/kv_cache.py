"""Keys and values of one sequence, layer by layer, and the budget that all sequences share.

Each sequence owns contiguous tensors that grow, so that attention reads them in place and no
short sequence is padded to a long one. Knows no scheduling: who may grow is decided elsewhere.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

GRAIN = 64
"""Tokens; capacities are multiples of it."""


def capacity_for(tokens: int) -> int:
    """Tokens to reserve for a sequence of this many: a quarter more, so that growth is rare."""
    return -(-(tokens + tokens // 4) // GRAIN) * GRAIN


class SequenceCache:
    """Keys and values of one sequence: per layer two tensors ``[kv_heads, capacity, head_dim]``.

    Tensors are made at a layer's first write, in the shape and dtype of what is written.
    """

    def __init__(self) -> None:
        self.capacity = 0
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` tokens, one layer at a time; what is stored stays."""
        for index, (keys, values) in self._layers.items():
            self._layers[index] = (_grown(keys, capacity), _grown(values, capacity))
        self.capacity = capacity

    def write(self, layer: int, start: int, keys: Tensor, values: Tensor) -> None:
        """Store ``keys`` and ``values`` ``[kv_heads, n, head_dim]`` at ``start … start + n``."""
        if layer not in self._layers:
            self._layers[layer] = (_empty(keys, self.capacity), _empty(values, self.capacity))
        stored_keys, stored_values = self._layers[layer]
        stop = start + keys.shape[1]
        stored_keys[:, start:stop] = keys
        stored_values[:, start:stop] = values

    def copy_from(self, other: "SequenceCache", tokens: int) -> None:
        """Store another sequence's first ``tokens``; there must be room for them."""
        with torch.inference_mode():
            for layer, (keys, values) in other._layers.items():
                self.write(layer, 0, keys[:, :tokens], values[:, :tokens])

    def read(self, layer: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Views ``[kv_heads, stop - start, head_dim]`` of a layer's keys and values."""
        keys, values = self._layers[layer]
        return keys[:, start:stop], values[:, start:stop]


def _empty(like: Tensor, capacity: int) -> Tensor:
    return like.new_empty(like.shape[0], capacity, like.shape[2])


def _grown(stored: Tensor, capacity: int) -> Tensor:
    grown = _empty(stored, capacity)
    grown[:, : stored.shape[1]] = stored
    return grown


@dataclass(slots=True)
class CacheBudget:
    """How many tokens of keys and values all sequences together may hold."""

    total: int
    used: int = 0

    def fits(self, cache: SequenceCache, capacity: int) -> bool:
        """Whether ``cache`` may grow to ``capacity`` tokens."""
        return self.used - cache.capacity + capacity <= self.total

    def grow(self, cache: SequenceCache, capacity: int) -> None:
        """Grow ``cache`` to ``capacity`` tokens."""
        before = cache.capacity
        with torch.inference_mode():
            cache.reserve(capacity)
        self.used += capacity - before

    def release(self, cache: SequenceCache) -> None:
        """Count ``cache`` as gone; its owner drops it."""
        self.used -= cache.capacity
