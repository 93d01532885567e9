"""Keys and values of one sequence in all layers, and the budget that all sequences share.

Each sequence owns contiguous tensors that grow, so that attention reads them in place and no
short sequence is padded to a long one. Knows no scheduling: who may grow is decided elsewhere.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

GRAIN = 64
"""Tokens; capacities are multiples of it."""


def capacity_for(tokens: int) -> int:
    """Tokens to reserve for a sequence of this many: a quarter more, so that growth is rare."""
    return -(-(tokens + tokens // 4) // GRAIN) * GRAIN


class SequenceCache:
    """Keys and values of one sequence: two tensors ``[layers, kv_heads, capacity, head_dim]``.

    They are made at the first write, in the shape and dtype of what is written; all layers of a
    model have the same. ``state`` is what a model that runs alone carries on instead.
    """

    def __init__(self) -> None:
        self.capacity = 0
        self.state: dict[str, Any] = {}
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def make(self, layers: int, keys: Tensor, values: Tensor) -> None:
        """Have tensors for ``layers`` layers like these: ``[kv_heads, any, head_dim]``."""
        if self._keys is None:
            self._keys = keys.new_empty(layers, keys.shape[0], self.capacity, keys.shape[2])
            self._values = values.new_empty(layers, values.shape[0], self.capacity, values.shape[2])

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` tokens; what is stored stays."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = _grown(self._keys, capacity), _grown(self._values, capacity)
        self.capacity = capacity

    def copy_from(self, other: "SequenceCache", tokens: int) -> None:
        """Store another sequence's first ``tokens``; there must be room for them."""
        with torch.inference_mode():
            keys, values = other.read(0, tokens)
            self.make(keys.shape[0], keys[0], values[0])
            own_keys, own_values = self.read(0, tokens)
            own_keys.copy_(keys)
            own_values.copy_(values)

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Views ``[layers, kv_heads, stop - start, head_dim]`` of keys and values."""
        assert self._keys is not None
        assert self._values is not None
        return self._keys[:, :, start:stop], self._values[:, :, start:stop]


def _grown(stored: Tensor, capacity: int) -> Tensor:
    grown = stored.new_empty(*stored.shape[:2], capacity, stored.shape[3])
    grown[:, :, : stored.shape[2]] = stored
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
