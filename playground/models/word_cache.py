"""Encodes text word by word and remembers each word's tokens.

A pre-tokenizer that parts words lets no token reach over a space between letters or digits, so that
a text's tokens are those of its words, one after the other. Where a tokenizer does otherwise, it is
used as it is. Knows text and token ids; knows no vocabulary.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

Encode = Callable[[str], list[int]]
SPACE = re.compile(r" (?=[A-Za-z0-9])(?<=[A-Za-z0-9] )")
"""Between words and numbers. It begins with what is looked for, which takes a third of the time."""
LONGEST_WORD = 40
"""Characters of a word that is remembered; with it stand the signs that follow it."""
PROSE_WORD = 12
"""Characters of the mean word up to which a text has enough of them; code has longer ones."""
KNOWN_WORDS = 100_000
"""Words that are remembered, in some 30 MB; then all are forgotten."""
PROBE = (
    "It is one of the first and on the other hand a lot of what you want to be in the end of this. "
    "I do not know if we can go to the New York City of the United States by the way, as well as a "
    "3.5 km walk on 1 of 12 days in 2024; it's Über uns und für die the naïve of café\n\nand so on "
    "(the end) is ''a b'' c d def f ( x ) : return x for x in range of A B CD Ef gH at the same "
    "time as the rest of the day."
)
"""Runs of words that are as frequent as any: a vocabulary that joins words joins some of these."""


def word_by_word(encode: Encode, added: Iterable[str] = ()) -> Encode:
    """Return a function that gives the tokens that ``encode`` gives, from remembered words.

    ``added`` are texts that are tokens wherever they stand, which may reach over spaces.
    """
    first_words, words = _Words("", encode), _Words(" ", encode)

    def encode_parts(first: str, others: Sequence[str]) -> list[int]:
        return [*first_words[first], *chain.from_iterable(map(words.__getitem__, others))]

    def encode_words(text: str) -> list[int]:
        first, *others = SPACE.split(text)
        if len(text) > PROSE_WORD * (1 + len(others)):
            return encode(text)
        return encode_parts(first, others)

    for probe in (PROBE, *(f"a {token} b" for token in added)):
        first, *others = SPACE.split(probe)
        if encode_parts(first, others) != encode(probe):
            return encode
    return encode_words


class _Words(dict[str, list[int]]):
    """The tokens of each word that was asked for, after ``before``."""

    def __init__(self, before: str, encode: Encode) -> None:
        super().__init__()
        self._before = before
        self._encode = encode

    def __missing__(self, word: str) -> list[int]:
        tokens = self._encode(self._before + word)
        if len(word) <= LONGEST_WORD:
            if len(self) >= KNOWN_WORDS:
                self.clear()
            self[word] = tokens
        return tokens
