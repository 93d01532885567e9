"""Seeded random choices, with the training and the held-out split kept disjoint."""

import random
import zlib
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

HELD_OUT_ONE_IN = 8


def words(text: str, separator: str | None = None) -> tuple[str, ...]:
    """Split a pool that is written as one text."""
    return tuple(text.split(separator))


ONSETS = words("b c d f g h j k l m n p r s t v w z br dr gr kr tr pl st sh th")
VOWELS = words("a e i o u a e i o ai ou")
# Syllables as English spells them, so that invented words use most pieces of real ones.
ONSETS_WRITTEN = words(
    "b c d f g h j l m n p qu r s t v w y ch cl cr fl fr gl ph pl pr sc sh sl sm sn sp st str sw th"
    " thr tw wh br bl dr tr kn"
)
VOWELS_WRITTEN = words("a e i o u ea ee oo ou ie ai oa y er ar or in an en on al el ur u a e o i")
ENDINGS_WRITTEN = words(
    "t d ck ng sh st ge ty tion ment ness ture able er ist cy ce cies ies ance ence ine ate ive ous"
    " al ic ly ing ed ry my ght nd nt rm ld rt m p b s x"
)
CLOSING = "?.! ¿¡。？"
CODAS = ("n", "r", "l", "s", "x", "k", "m", "", "", "")
HELLOS = (
    "Hi, ",
    "Hello, ",
    "Hey, ",
    "Hi! ",
    "Hello! ",
    "Please ",
    "So, ",
    "OK, ",
    "Quick question: ",
)


class Split(StrEnum):
    """The pools that a row may draw from."""

    TRAIN = "train"
    HELD_OUT = "held"


def key_of(text: str) -> str:
    """Normalise: without case, spaces and punctuation, so that equal keys read the same."""
    return "".join(char for char in text.lower() if char.isalnum() or char in "+-*/")


def split_of(text: str) -> Split:
    """Return the split that a text belongs to, decided by its hash."""
    return (
        Split.HELD_OUT if zlib.crc32(text.lower().encode()) % HELD_OUT_ONE_IN == 0 else Split.TRAIN
    )


@lru_cache(maxsize=4096)
def _pairs(
    templates: tuple[str, ...], fills: tuple[str, ...], split: Split
) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a split; no held-out pair has the key of a training pair."""
    pairs = [(template, fill) for template in templates for fill in fills]
    pool = [(t, f) for t, f in pairs if split_of(f"{t}|{f}") is split]
    if split is Split.TRAIN:
        return tuple(pool)
    trained = {key_of(t.format(f)) for t, f in pairs if split_of(f"{t}|{f}") is Split.TRAIN}
    return tuple((t, f) for t, f in pool if key_of(t.format(f)) not in trained)


class Draw:
    """A random generator bound to a split."""

    def __init__(self, rng: random.Random, split: Split = Split.TRAIN) -> None:
        self.rng = rng
        self.split = split

    @property
    def held(self) -> bool:
        """Whether rows come from the held-out pools."""
        return self.split is Split.HELD_OUT

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.rng.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """Choose one of the options, whatever the split."""
        return self.rng.choice(options)

    def number(self, low: int, high: int) -> int:
        """Draw an integer, both ends included."""
        return self.rng.randint(low, high)

    def from_split(self, train: Sequence[T], held: Sequence[T]) -> T:
        """Choose from ``train`` or from ``held``, by the split."""
        return self.rng.choice(held if self.held else train)

    def fill(self, templates: Sequence[str], fills: Sequence[str]) -> str | None:
        """Return a filled template of this split; None if all of them belong to the other one."""
        pairs = _pairs(tuple(templates), tuple(fills), self.split)
        if not pairs:
            return None
        template, fill = self.rng.choice(pairs)
        text = template.format(fill)
        return text[0].upper() + text[1:]

    def word(self, syllables: int | None = None, capital: bool = False) -> str:
        """Invent a word of this split."""
        while True:
            count = syllables or self.pick((2, 2, 3))
            if self.chance(0.35):
                written = (self.pick(ONSETS_WRITTEN) + self.pick(VOWELS_WRITTEN) for _ in "12")
                word = "".join(list(written)[: max(1, count - 1)]) + self.pick(ENDINGS_WRITTEN)
            else:
                stem = "".join(self.pick(ONSETS) + self.pick(VOWELS) for _ in range(count))
                word = stem + self.pick(CODAS)
            if split_of(word) is self.split:
                return word.capitalize() if capital else word

    def name(self) -> str:
        """Invent a capitalised word."""
        return self.word(capital=True)

    def casual(self, text: str, greet: bool = True) -> str:
        """Rewrite the text as people type it: lower case, no full stop, a greeting, a typo."""
        if greet and self.chance(0.08) and len(text) > 12:
            text = self.pick(HELLOS) + text[0].lower() + text[1:]
        if self.chance(0.25):
            text = text.lower()
        if self.chance(0.25):
            text = text.rstrip(CLOSING)
        elif self.chance(0.05):
            text += self.pick(("!", "??", " please", " ?", "..."))
        if self.chance(0.03):
            text = text.replace("'", "").replace("What is", "Whats")
        if self.chance(0.015) and len(text) > 14 and text.isascii():
            position = self.number(4, len(text) - 4)
            text = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
        return text
