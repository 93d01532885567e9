"""Keys and values that outlive their sequence, for the next one that begins with the same tokens.

A finished sequence's cache is kept until its room is needed. A new sequence takes the kept cache
over when it extends it (the next turn of a conversation: nothing is copied), and copies the common
prefix otherwise (another conversation under the same system prompt), from running sequences too.
Keys and values depend on the base, the adapter and the tokens before them; one engine has one base,
the adapter is the entry's ``adapter_hash``. Knows no scheduling and no text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from playground.engine.kv_cache import CacheBudget, SequenceCache, capacity_for

MIN_PREFIX_TOKENS = 16
"""Shorter common prefixes are computed anew faster than they are found and copied."""
MAX_ENTRIES = 256

Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class CachedPrefix:
    """Tokens whose keys and values ``cache`` holds, under this adapter ("" is the base alone).

    ``opening`` are the first `MIN_PREFIX_TOKENS`, which are quickly compared.
    """

    adapter_hash: str
    tokens: Tokens
    cache: SequenceCache
    opening: bytes

    @classmethod
    def of(cls, adapter_hash: str, tokens: Sequence[int], cache: SequenceCache) -> "CachedPrefix":
        """Make one from a list of token ids."""
        array = np.asarray(tokens, dtype=np.int32)
        return cls(adapter_hash, array, cache, _opening(array))


class PrefixCache:
    """Entries in order of their last use, within the budget that running sequences share."""

    def __init__(self, budget: CacheBudget, enabled: bool = True) -> None:
        self._budget = budget
        self._enabled = enabled
        self._entries: list[CachedPrefix] = []

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, entry: CachedPrefix) -> None:
        """Take over a finished sequence's cache, whose room stays counted."""
        if not self._enabled or len(entry.tokens) < MIN_PREFIX_TOKENS:
            self._budget.release(entry.cache)
            return
        self._entries.append(entry)
        if len(self._entries) > MAX_ENTRIES:
            self._evict(self._entries[0])

    def forget(self, adapter_hash: str) -> None:
        """Drop the entries of an adapter version that is gone."""
        for entry in [entry for entry in self._entries if entry.adapter_hash == adapter_hash]:
            self._evict(entry)

    def make_room(self, cache: SequenceCache, capacity: int) -> bool:
        """Evict the least recently used entries until ``cache`` may grow; False if it cannot."""
        while self._entries and not self._budget.fits(cache, capacity):
            self._evict(self._entries[0])
        return self._budget.fits(cache, capacity)

    def begin(
        self, adapter_hash: str, tokens: Sequence[int], running: Iterable[CachedPrefix]
    ) -> tuple[SequenceCache, int]:
        """Return a cache for a sequence of ``tokens`` and how many of them it already holds.

        At least the last token is left to compute: the sequence needs the logits after it.
        """
        empty = self._budget.new(), 0
        if not self._enabled:
            return empty
        wanted = np.asarray(tokens[:-1], dtype=np.int32)
        opening = _opening(wanted)

        def common(entry: CachedPrefix) -> int:
            return _common_length(adapter_hash, wanted, entry)

        alike = (entry for entry in self._entries if entry.opening == opening)
        kept = max(alike, key=common, default=None)
        shared = max(running, key=common, default=None)
        kept_length = common(kept) if kept else 0
        shared_length = common(shared) if shared else 0
        if max(kept_length, shared_length) < MIN_PREFIX_TOKENS:
            return empty
        source, length = shared, shared_length
        if kept and kept_length >= shared_length:
            source, length = kept, kept_length
            self._entries.remove(kept)
            if 2 * length >= len(kept.tokens):  # the rest of it is the smaller part
                return kept.cache, length
            self._entries.append(kept)
        cache, capacity = self._budget.new(), capacity_for(len(tokens) + 1)
        if source is None or not self._budget.fits(cache, capacity):
            return empty
        self._budget.grow(cache, capacity)
        self._budget.copy(source.cache, cache, length)
        return cache, length

    def _evict(self, entry: CachedPrefix) -> None:
        self._entries.remove(entry)
        self._budget.release(entry.cache)


def _opening(tokens: Tokens) -> bytes:
    return tokens[:MIN_PREFIX_TOKENS].tobytes()


def _common_length(adapter_hash: str, wanted: Tokens, entry: CachedPrefix) -> int:
    """Return how many tokens both begin with; 0 under another adapter."""
    if entry.adapter_hash != adapter_hash:
        return 0
    length = min(len(wanted), len(entry.tokens))
    differs = wanted[:length] != entry.tokens[:length]
    return int(differs.argmax()) if differs.any() else length
