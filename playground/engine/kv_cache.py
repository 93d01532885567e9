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
    """Keys and values of one sequence: one tensor ``[2 * layers, kv_heads, capacity, head_dim]``,
    a layer's keys before its values.

    It is made at the first write, in the shape and dtype of what is written; all layers of a model
    have the same. ``state`` is what a model that runs alone carries on instead.
    """

    def __init__(self) -> None:
        self.capacity = 0
        self.state: dict[str, Any] = {}
        self._stored: Tensor | None = None

    def make(self, layers: int, like: Tensor) -> None:
        """Have room for so many layers' keys and values, each like ``[kv_heads, head_dim]``."""
        if self._stored is None:
            kv_heads, head_dim = like.shape
            self._stored = like.new_empty(2 * layers, kv_heads, self.capacity, head_dim)

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` tokens; what is stored stays."""
        if self._stored is not None:
            whole, kv_heads, held, head_dim = self._stored.shape
            grown = self._stored.new_empty(whole, kv_heads, capacity, head_dim)
            grown[:, :, :held] = self._stored
            self._stored = grown
        self.capacity = capacity

    def copy_from(self, other: "SequenceCache", tokens: int) -> None:
        """Store another sequence's first ``tokens``; there must be room for them."""
        with torch.inference_mode():
            theirs = other.read(tokens)
            self.make(theirs.shape[0] // 2, theirs[0, :, 0])
            self.read(tokens).copy_(theirs)

    def read(self, stop: int) -> Tensor:
        """A view ``[2 * layers, kv_heads, stop, head_dim]``."""
        assert self._stored is not None
        return self._stored[:, :, :stop]


@dataclass(slots=True)
class CacheBudget:
    """How many tokens of keys and values all sequences together may hold."""

    total: int
    used: int = 0

    def new(self) -> SequenceCache:
        """A cache without room."""
        return SequenceCache()

    def fits(self, cache: SequenceCache, capacity: int) -> bool:
        """Whether ``cache`` may grow to ``capacity`` tokens."""
        return self.used - cache.capacity + capacity <= self.total

    def grow(self, cache: SequenceCache, capacity: int) -> None:
        """Grow ``cache`` to ``capacity`` tokens."""
        before = cache.capacity
        if capacity == before:
            return
        with torch.inference_mode():
            cache.reserve(capacity)
        self.used += capacity - before

    def release(self, cache: SequenceCache) -> None:
        """Count ``cache`` as gone; its owner drops it."""
        self.used -= cache.capacity
