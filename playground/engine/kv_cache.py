"""Keys and values of one sequence in all layers, and the budget that all sequences share.

Each sequence owns contiguous tensors that grow, so that attention reads them in place and no
short sequence is padded to a long one. Knows no scheduling: the scheduler decides who may grow.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CAPACITY_MULTIPLE = 64
"""Tokens; contiguous capacities are multiples of it."""


def capacity_for(tokens: int) -> int:
    """Return the tokens to reserve for a sequence of this many: a quarter more, to grow rarely."""
    return -(-(tokens + tokens // 4) // CAPACITY_MULTIPLE) * CAPACITY_MULTIPLE


class SequenceCache:
    """Keys and values of one sequence, with room for ``capacity`` tokens.

    Contiguous: one tensor ``[2 * layers, kv_heads, capacity, head_dim]``, a layer's keys before its
    values, allocated at the first write in the shape and dtype of what is written. Paged: the
    numbers of its ``blocks`` in a `BlockPool`, in order. Models that run sequence by sequence keep
    whatever transformers carries from token to token in ``state``.
    """

    def __init__(self) -> None:
        self.capacity = 0
        self.blocks: list[int] = []
        self.state: dict[str, object] = {}
        self._stored: Tensor | None = None

    def allocate(self, layers: int, like: Tensor) -> None:
        """Allocate ``layers`` layers of keys and values like ``[kv_heads, head_dim]``, once."""
        if self._stored is None:
            kv_heads, head_dim = like.shape
            self._stored = like.new_empty(2 * layers, kv_heads, self.capacity, head_dim)

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` tokens; what is stored stays."""
        if self._stored is not None:
            layers, kv_heads, stored, head_dim = self._stored.shape
            grown = self._stored.new_empty(layers, kv_heads, capacity, head_dim)
            grown[:, :, :stored] = self._stored
            self._stored = grown
        self.capacity = capacity

    def read(self, stop: int) -> Tensor:
        """Return a view ``[2 * layers, kv_heads, stop, head_dim]``."""
        assert self._stored is not None, "nothing was written yet"
        return self._stored[:, :, :stop]


@dataclass(slots=True)
class CacheBudget:
    """How many tokens of keys and values all sequences together may hold."""

    total: int
    used: int = 0

    def new(self) -> SequenceCache:
        """Return a cache without room."""
        return SequenceCache()

    def fits(self, cache: SequenceCache, capacity: int) -> bool:
        """Say whether ``cache`` may grow to ``capacity`` tokens."""
        return self.used - cache.capacity + capacity <= self.total

    def grow(self, cache: SequenceCache, capacity: int) -> None:
        """Grow ``cache`` to ``capacity`` tokens."""
        before = cache.capacity
        if capacity == before:
            return
        with torch.inference_mode():
            cache.reserve(capacity)
        self.used += capacity - before

    def copy(self, source: SequenceCache, target: SequenceCache, tokens: int) -> None:
        """Copy the first ``tokens`` into ``target``, which must have room for them."""
        with torch.inference_mode():
            stored = source.read(tokens)
            target.allocate(stored.shape[0] // 2, stored[0, :, 0])
            target.read(tokens).copy_(stored)

    def release(self, cache: SequenceCache) -> None:
        """Count ``cache`` as gone; its owner drops it."""
        self.used -= cache.capacity
