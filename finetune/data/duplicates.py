"""Finds rows that repeat each other: word for word, or nearly.

Near-duplicates are found by MinHash and banding (Broder 1997; Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3) over shingles of three words, and each candidate is checked
by its exact Jaccard similarity. A hash function multiplies by an odd number and adds another,
modulo 2^32 (Dietzfelbinger et al. 1997), which numpy does without dividing. Knows texts only.
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
WORDS_AT_ONCE = 16_384
"""Their arrays fit a processor's cache."""
_PRIME = (1 << 31) - 1
IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
HashArray = npt.NDArray[np.uint32]
_NONE: IntArray = np.empty(0, np.int64)


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
    shingles: Int32Array
    """Those of all texts, one text after the other; each text's own are sorted."""
    counts: IntArray
    """How many shingles each text has."""
    signatures: HashArray
    """[texts, HASHES]"""


class _WordHashes(dict[str, int]):
    """The hash of each word that was asked for."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        value = int.from_bytes(digest, "big") % _PRIME
        self[word] = value
        return value


class TextHasher:
    """Hashes texts for a `RepeatFinder`; the same texts give the same hashes in every process."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._factors = rng.integers(0, 1 << 32, HASHES, np.uint32) | np.uint32(1)
        self._shifts = rng.integers(0, 1 << 32, HASHES, np.uint32)
        self._word_factors = rng.integers(1, _PRIME, SHINGLE)
        self._words = _WordHashes()

    def hash(self, texts: Sequence[str]) -> TextHashes:
        """Return the hashes of texts, in their order."""
        digests = [
            hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
            for text in texts
        ]
        parts = [self._shingles_of(hashes, ends) for hashes, ends in self._hashed_words(texts)]
        shingles = np.concatenate([_NONE, *(part for part, _ in parts)])
        counts = np.concatenate([_NONE, *(count for _, count in parts)])
        signatures = [self._signatures_of(*part) for part in parts]
        empty = np.empty((0, HASHES), np.uint32)
        return TextHashes(
            tuple(digests),
            shingles.astype(np.int32),
            counts,
            np.concatenate([empty, *signatures]),
        )

    def _hashed_words(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the words of so many texts as fill numpy's vectors and no cache: their hashes,
        and where each text ends."""
        hashes: list[int] = []
        ends: list[int] = []
        for text in texts:
            if len(self._words) > KNOWN_WORDS:
                self._words.clear()
            of_text = [*map(self._words.__getitem__, words(text))]
            hashes += of_text
            hashes += [0] * (SHINGLE - len(of_text))
            ends.append(len(hashes))
            if len(hashes) >= WORDS_AT_ONCE:
                yield hashes, ends
                hashes, ends = [], []
        if ends:
            yield hashes, ends

    def _shingles_of(self, hashes: list[int], ends: list[int]) -> tuple[IntArray, IntArray]:
        """Return the hashes of all runs of words, each once a text, and how many a text has."""
        values, last = np.array(hashes, np.int64), len(hashes) - SHINGLE + 1
        mixed = np.zeros(last, np.int64)
        for at, factor in enumerate(self._word_factors):
            mixed += values[at : at + last] * factor % _PRIME
        mixed %= _PRIME
        texts = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        is_within = texts[:last] == texts[SHINGLE - 1 :]
        unique = np.unique(texts[:last][is_within] << 31 | mixed[is_within])
        return unique & _PRIME, np.bincount(unique >> 31, minlength=len(ends))

    def _signatures_of(self, shingles: IntArray, counts: IntArray) -> HashArray:
        """Return each text's smallest values of all hash functions: [texts, HASHES]."""
        starts, values = np.cumsum(counts) - counts, shingles.astype(np.uint32)
        signatures = np.empty((HASHES, len(counts)), np.uint32)
        for at, (factor, shift) in enumerate(zip(self._factors, self._shifts, strict=True)):
            signatures[at] = np.minimum.reduceat(values * factor + shift, starts)  # wraps
        return np.ascontiguousarray(signatures.T)


class RepeatFinder:
    """Finds repeats among texts whose hashes are added one after another; keeps no text."""

    def __init__(self) -> None:
        self._num_texts = 0
        self._first: dict[bytes, int] = {}
        self._exact: list[tuple[int, int]] = []
        self._places: list[int] = []
        self._shingles: list[Int32Array] = []
        self._counts: list[IntArray] = []
        self._signatures: list[HashArray] = []

    def add(self, texts: TextHashes) -> None:
        """Add the next texts."""
        is_new = np.zeros(len(texts.digests), np.bool_)
        for at, digest in enumerate(texts.digests, start=self._num_texts):
            first = self._first.setdefault(digest, at)
            if first != at:
                self._exact.append((at, first))
                continue
            self._places.append(at)
            is_new[at - self._num_texts] = True
        self._num_texts += len(texts.digests)
        self._shingles.append(texts.shingles[np.repeat(is_new, texts.counts)])
        self._counts.append(texts.counts[is_new])
        self._signatures.append(texts.signatures[is_new])

    def find(self, similar: float = SIMILAR) -> Repeats:
        """Return the repeats among all texts so far."""
        near: dict[int, int] = {}
        if self._places:
            texts = _Texts(
                np.concatenate(self._signatures),
                np.concatenate(self._shingles),
                np.concatenate(self._counts),
            )
            for band in np.split(texts.signatures, BANDS, axis=1):
                for members in _groups(band):
                    self._compare(members, texts, similar, near)
        return Repeats(tuple(self._exact), tuple(sorted(near.items())))

    def _compare(
        self,
        members: IntArray,
        texts: "_Texts",
        similar: float,
        near: dict[int, int],
    ) -> None:
        """Find for each text of a band the earlier one that it is most like, if any is alike."""
        for at, index in enumerate(members[1:], start=1):
            if self._places[index] in near:
                continue
            earlier = members[: min(at, LARGEST_BAND)]
            shares = (texts.signatures[earlier] == texts.signatures[index]).mean(axis=1)
            for candidate in np.argsort(-shares, kind="stable")[:CHECKED_EXACTLY]:
                if shares[candidate] < similar - UNSURE:
                    break
                other = earlier[candidate]
                if _jaccard(texts.shingles_of(index), texts.shingles_of(other)) >= similar:
                    near[self._places[index]] = self._places[other]
                    break


class _Texts:
    """Texts that repeat no other word for word."""

    def __init__(self, signatures: HashArray, shingles: Int32Array, counts: IntArray) -> None:
        self.signatures = signatures
        self._shingles = shingles
        self._ends = np.cumsum(counts)
        self._counts = counts

    def shingles_of(self, at: int) -> Int32Array:
        """One text's shingles, sorted."""
        end = self._ends[at]
        return self._shingles[end - self._counts[at] : end]


def _groups(band: HashArray) -> Iterator[IntArray]:
    """Yield the places of equal rows, each group in order."""
    keys = np.ascontiguousarray(band).view(np.int64).T
    order = np.lexsort(keys)
    ends = np.array([len(order)])
    for key in keys[:, order]:
        ends = np.union1d(ends, np.flatnonzero(key[1:] != key[:-1]) + 1)
    counts = np.diff(ends, prepend=0)
    for group in np.flatnonzero(counts > 1):
        yield order[ends[group] - counts[group] : ends[group]]


def _jaccard(left: Int32Array, right: Int32Array) -> float:
    both = np.intersect1d(left, right, assume_unique=True).size
    return both / (len(left) + len(right) - both)
