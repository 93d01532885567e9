"""Finds rows that repeat each other: word for word, or nearly.

Near-duplicates are found by MinHash and banding (Broder 1997; Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3) over shingles of three words, and each candidate is checked
by its exact Jaccard similarity. Knows texts only.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIMILAR = 0.8
SHINGLE = 3
HASHES = 64
BANDS = 16
LARGEST_BAND = 50
"""Texts of one band that are compared with each other; a fuller band holds boilerplate."""
_PRIME = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Repeats:
    """Pairs of positions, the later one first."""

    exact: tuple[tuple[int, int], ...]
    near: tuple[tuple[int, int], ...]


def words(text: str) -> list[str]:
    """Split a text into words in lower case, without punctuation."""
    return re.findall(r"\w+", text.lower())


def find_repeats(texts: Sequence[str], similar: float = SIMILAR) -> Repeats:
    """Find each text that repeats an earlier one, with the first that it repeats."""
    exact: list[tuple[int, int]] = []
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        earlier = first.setdefault(text, place)
        if earlier != place:
            exact.append((place, earlier))
    near = _near([(place, _shingles(text)) for text, place in first.items()], similar)
    return Repeats(tuple(exact), tuple(sorted(near.items())))


def _shingles(text: str) -> frozenset[int]:
    all_words = words(text)
    count = max(1, len(all_words) - SHINGLE + 1)
    pieces = (" ".join(all_words[start : start + SHINGLE]) for start in range(count))
    return frozenset(
        int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=8).digest(), "big") % _PRIME
        for piece in pieces
    )


def _near(texts: Sequence[tuple[int, frozenset[int]]], similar: float) -> dict[int, int]:
    rng = np.random.default_rng(0)
    factors, shifts = rng.integers(1, _PRIME, HASHES), rng.integers(0, _PRIME, HASHES)
    bands: dict[tuple[int, bytes], list[int]] = {}
    near: dict[int, int] = {}
    for index, (place, shingles) in enumerate(texts):
        values = np.fromiter(shingles, dtype=np.int64, count=len(shingles))
        signature = ((values[:, None] * factors + shifts) % _PRIME).min(axis=0)
        for band, part in enumerate(signature.reshape(BANDS, -1)):
            bucket = bands.setdefault((band, part.tobytes()), [])
            for other in bucket[:LARGEST_BAND]:
                earlier, known = texts[other]
                if place not in near and _jaccard(shingles, known) >= similar:
                    near[place] = earlier
            bucket.append(index)
    return near


def _jaccard(left: frozenset[int], right: frozenset[int]) -> float:
    return len(left & right) / len(left | right)
