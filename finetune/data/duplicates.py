"""Finds rows that repeat each other: word for word, or nearly.

Near-duplicates are found by MinHash and banding (Broder 1997; Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3) over shingles of three words, and each candidate is checked
by its exact Jaccard similarity. Knows texts only.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIMILAR = 0.8
SHINGLE = 3
HASHES = 64
BANDS = 16
LARGEST_BAND = 50
"""Texts of one band that are compared with each other; a fuller band holds boilerplate."""
CHECKED_EXACTLY = 3
"""Likeliest candidates of a text whose shingles are compared; the others only by their hashes."""
UNSURE = 0.2
"""How far the share of equal hashes may lie below the similarity: three standard deviations."""
KNOWN_WORDS = 1_000_000
"""Words whose hash is kept."""
_PRIME = (1 << 31) - 1
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Pairs of positions, the later one first."""

    exact: tuple[tuple[int, int], ...]
    near: tuple[tuple[int, int], ...]


def words(text: str) -> list[str]:
    """Split a text into words in lower case, without punctuation."""
    return re.findall(r"\w+", text.lower())


def find_repeats(texts: Iterable[str], similar: float = SIMILAR) -> Repeats:
    """Find each text that repeats an earlier one, with the first that it repeats."""
    finder = RepeatFinder()
    finder.add(TextHasher().hash(list(texts)))
    return finder.find(similar)


@dataclass(frozen=True, slots=True)
class TextHashes:
    """What `RepeatFinder` keeps of some texts: digests, shingles and MinHash signatures."""

    digests: tuple[bytes, ...]
    shingles: tuple[npt.NDArray[np.int32], ...]
    signatures: npt.NDArray[np.int32]
    """[texts, HASHES]"""


class TextHasher:
    """Hashes texts for a `RepeatFinder`; the same texts give the same hashes in every process."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._factors = rng.integers(1, _PRIME, HASHES)
        self._shifts = rng.integers(0, _PRIME, HASHES)
        self._word_factors = rng.integers(1, _PRIME, SHINGLE)
        self._words: dict[str, int] = {}

    def hash(self, texts: Sequence[str]) -> TextHashes:
        """Return the hashes of texts, in their order."""
        digests = [
            hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
            for text in texts
        ]
        shingles = tuple(map(self._shingles_of, texts))
        signatures = np.empty((len(texts), HASHES), np.int32)
        for at, each in enumerate(shingles):
            values = (each.astype(np.int64)[:, None] * self._factors + self._shifts) % _PRIME
            signatures[at] = values.min(axis=0)
        return TextHashes(tuple(digests), shingles, signatures)

    def _shingles_of(self, text: str) -> npt.NDArray[np.int32]:
        """Return the hashes of all runs of words, each once."""
        if len(self._words) > KNOWN_WORDS:
            self._words.clear()
        hashes = [self._words.get(word) or self._hash(word) for word in words(text)]
        hashes += [0] * (SHINGLE - len(hashes))
        runs = np.lib.stride_tricks.sliding_window_view(np.array(hashes, np.int64), SHINGLE)
        mixed = (runs * self._word_factors % _PRIME).sum(axis=1) % _PRIME
        unique: npt.NDArray[np.int32] = np.unique(mixed).astype(np.int32)
        return unique

    def _hash(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        value = int.from_bytes(digest, "big") % _PRIME
        self._words[word] = value
        return value


class RepeatFinder:
    """Finds repeats among texts whose hashes are added one after another; keeps no text."""

    def __init__(self) -> None:
        self._num_texts = 0
        self._first: dict[bytes, int] = {}
        self._exact: list[tuple[int, int]] = []
        self._places: list[int] = []
        self._shingles: list[npt.NDArray[np.int32]] = []
        self._signatures: list[npt.NDArray[np.int32]] = []

    def add(self, texts: TextHashes) -> None:
        """Add the next texts."""
        for at, digest in enumerate(texts.digests):
            place = self._num_texts
            self._num_texts += 1
            first = self._first.setdefault(digest, place)
            if first != place:
                self._exact.append((place, first))
                continue
            self._places.append(place)
            self._shingles.append(texts.shingles[at])
            self._signatures.append(texts.signatures[at])

    def find(self, similar: float = SIMILAR) -> Repeats:
        """Return the repeats among all texts so far."""
        near: dict[int, int] = {}
        if self._signatures:
            signatures = np.stack(self._signatures)
            for band in np.split(signatures, BANDS, axis=1):
                for members in _groups(band):
                    self._compare(members, signatures, similar, near)
        return Repeats(tuple(self._exact), tuple(sorted(near.items())))

    def _compare(
        self,
        members: IntArray,
        signatures: npt.NDArray[np.int32],
        similar: float,
        near: dict[int, int],
    ) -> None:
        """Find for each text of a band the earlier one that it is most like, if any is alike."""
        for at, index in enumerate(members[1:], start=1):
            if self._places[index] in near:
                continue
            earlier = members[: min(at, LARGEST_BAND)]
            shares = (signatures[earlier] == signatures[index]).mean(axis=1)
            for candidate in np.argsort(-shares, kind="stable")[:CHECKED_EXACTLY]:
                if shares[candidate] < similar - UNSURE:
                    break
                other = earlier[candidate]
                if _jaccard(self._shingles[index], self._shingles[other]) >= similar:
                    near[self._places[index]] = self._places[other]
                    break


def _groups(band: npt.NDArray[np.int32]) -> Iterator[IntArray]:
    """Yield the places of equal rows, each group in order."""
    keys = np.ascontiguousarray(band).view(np.dtype((np.void, band.shape[1] * band.itemsize)))
    _, inverse, counts = np.unique(keys.ravel(), return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    ends = np.cumsum(counts)
    for group in np.flatnonzero(counts > 1):
        yield order[ends[group] - counts[group] : ends[group]]


def _jaccard(left: npt.NDArray[np.int32], right: npt.NDArray[np.int32]) -> float:
    both = np.intersect1d(left, right, assume_unique=True).size
    return both / (len(left) + len(right) - both)
