"""Keys and values that outlive their sequence, for the next one that begins with the same tokens.

A finished sequence's cache is kept until its room is needed. A new sequence continues the kept one
when that is what it extends (the next turn of a conversation: nothing is copied), and copies the
common beginning otherwise (another conversation under the same system prompt), from running
sequences too. Keys and values depend on the base, the adapter and the tokens before them: the first
two are the entry's ``key``. Knows no scheduling and no text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from playground.engine.kv_cache import CacheBudget, SequenceCache, capacity_for

FEWEST_TOKENS = 16
"""Shorter common beginnings are computed anew sooner than they are found and copied."""
MOST_ENTRIES = 256

Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """Tokens whose keys and values ``cache`` holds, under the weights that ``key`` names."""

    key: str
    tokens: Tokens
    cache: SequenceCache

    @classmethod
    def of(cls, key: str, tokens: Sequence[int], cache: SequenceCache) -> "Computed":
        """From a list of token ids."""
        return cls(key, np.asarray(tokens, dtype=np.int32), cache)


class PrefixCache:
    """Entries in order of their last use, within the budget that running sequences share."""

    def __init__(self, budget: CacheBudget, enabled: bool = True) -> None:
        self._budget = budget
        self._enabled = enabled
        self._entries: list[Computed] = []

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, entry: Computed) -> None:
        """Take over a finished sequence's cache, whose room stays counted."""
        if not self._enabled or len(entry.tokens) < FEWEST_TOKENS:
            self._budget.release(entry.cache)
            return
        self._entries.append(entry)
        if len(self._entries) > MOST_ENTRIES:
            self._evict(self._entries[0])

    def forget(self, key: str) -> None:
        """Drop what was computed under weights that are gone."""
        for entry in [each for each in self._entries if each.key == key]:
            self._evict(entry)

    def make_room(self, cache: SequenceCache, capacity: int) -> bool:
        """Whether ``cache`` may grow to ``capacity`` tokens, evicting the longest unused entries
        as far as that helps.
        """
        while self._entries and not self._budget.fits(cache, capacity):
            self._evict(self._entries[0])
        return self._budget.fits(cache, capacity)

    def begin(
        self, key: str, tokens: Sequence[int], running: Iterable[Computed]
    ) -> tuple[SequenceCache, int]:
        """A cache for a sequence of ``tokens`` and how many of them it already holds.

        At least the last token is left to compute: its logits are what the sequence wants.
        """
        nothing = self._budget.new(), 0
        if not self._enabled:
            return nothing
        wanted = np.asarray(tokens[:-1], dtype=np.int32)
        own = max(self._entries, key=lambda each: _common(key, wanted, each), default=None)
        shared = max(running, key=lambda each: _common(key, wanted, each), default=None)
        kept = _common(key, wanted, own) if own else 0
        lent = _common(key, wanted, shared) if shared else 0
        if max(kept, lent) < FEWEST_TOKENS:
            return nothing
        if own and kept >= lent:
            self._entries.remove(own)
            if 2 * kept >= len(own.tokens):  # what it holds beyond is the lesser part
                return own.cache, kept
            self._entries.append(own)
        source, length = (own, kept) if own and kept >= lent else (shared, lent)
        assert source is not None
        capacity = capacity_for(len(tokens) + 1)
        cache = self._budget.new()
        if not self._budget.fits(cache, capacity):
            return nothing
        self._budget.grow(cache, capacity)
        cache.copy_from(source.cache, length)
        return cache, length

    def _evict(self, entry: Computed) -> None:
        self._entries.remove(entry)
        self._budget.release(entry.cache)


def _common(key: str, wanted: Tokens, entry: Computed) -> int:
    """How many tokens both begin with."""
    if entry.key != key:
        return 0
    length = min(len(wanted), len(entry.tokens))
    differs = wanted[:length] != entry.tokens[:length]
    return int(differs.argmax()) if differs.any() else length
