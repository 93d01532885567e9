"""The closed domain: facts in English, French, Spanish and German.

A fact carries, for each language, the words its questions and its answer need. Everything outside
is answered with "I do not know": see `unknown`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from recipes.tiny_mistral.corpus import tables
from recipes.tiny_mistral.corpus.questions import QUESTIONS

LANGUAGES = ("en", "fr", "es", "de")


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact. Keys of the mappings are languages; English is always present.

    ``fill`` goes into the topic's questions, ``word`` is the answer in one word, ``spellings`` are
    the fills that mean the same where there are several.
    """

    topic: str
    fill: Mapping[str, str]
    answer: Mapping[str, str]
    word: Mapping[str, str]
    spellings: tuple[str, ...] = ()


_ARTICLES = ("le ", "la ", "el ", "der ", "die ", "das ")
_LANGUAGE_NAMES = {"fr": "French", "es": "Spanish", "de": "German"}


def _rows(table: str) -> list[list[str]]:
    return [line.split("|") for line in table.strip().splitlines()]


def _upper_first(text: str) -> str:
    return text[0].upper() + text[1:]


def _by_language(texts: list[str]) -> dict[str, str]:
    return dict(zip(LANGUAGES, texts, strict=True))


def _capitals() -> list[Fact]:
    frame = {
        "en": "The capital of {} is {}.",
        "fr": "La capitale {} est {}.",
        "es": "La capital de {} es {}.",
        "de": "Die Hauptstadt {} ist {}.",
    }
    facts = []
    for cells in _rows(tables.COUNTRIES):
        fill, word = _by_language(cells[:4]), _by_language(cells[4:])
        answer = {lang: frame[lang].format(fill[lang], word[lang]) for lang in LANGUAGES}
        facts.append(Fact("capital", fill, answer, word))
    return facts


def _colours() -> list[Fact]:
    verb = {"en": "is", "fr": "est", "es": "es", "de": "ist"}
    facts = []
    for cells in _rows(tables.THINGS):
        fill, word = _by_language(cells[:4]), _by_language(cells[4:])
        answer = {
            lang: f"{_upper_first(fill[lang])} {verb[lang]} {word[lang]}." for lang in LANGUAGES
        }
        facts.append(Fact("colour", fill, answer, {k: _upper_first(v) for k, v in word.items()}))
    return facts


def _opposites() -> list[Fact]:
    frame = {
        "en": "The opposite of {} is {}.",
        "fr": "Le contraire de {} est {}.",
        "es": "El contrario de {} es {}.",
        "de": "Das Gegenteil von {} ist {}.",
    }
    facts = []
    for cells in _rows(tables.OPPOSITES):
        one, other = _by_language(cells[::2]), _by_language(cells[1::2])
        for left, right in ((one, other), (other, one)):
            answer = {lang: frame[lang].format(left[lang], right[lang]) for lang in LANGUAGES}
            word = {lang: _upper_first(right[lang]) for lang in LANGUAGES}
            facts.append(Fact("opposite", left, answer, word))
    return facts


def _series() -> list[Fact]:
    frame = {
        "en": "After {} comes {}.",
        "fr": "Après {} vient {}.",
        "es": "Después de {} viene {}.",
        "de": "Nach {} kommt {}.",
    }
    facts = []
    for index in range(len(tables.SERIES["en"])):
        names = {lang: tables.SERIES[lang][index].split() for lang in LANGUAGES}
        for position in range(len(names["en"])):
            fill = {lang: names[lang][position] for lang in LANGUAGES}
            word = {lang: names[lang][(position + 1) % len(names[lang])] for lang in LANGUAGES}
            answer = {lang: frame[lang].format(fill[lang], word[lang]) for lang in LANGUAGES}
            facts.append(Fact("after", fill, answer, {k: _upper_first(v) for k, v in word.items()}))
    return facts


def _english() -> list[Fact]:
    facts = []
    for phrase in tables.SOUNDS.split(", "):
        animal, sound = phrase.rsplit(" ", 1)
        sentence = _upper_first(f"{phrase}.")
        facts.append(Fact("sound", {"en": animal}, {"en": sentence}, {"en": _upper_first(sound)}))
    for cells in _rows(tables.WORDS):
        for lang, foreign in zip(LANGUAGES[1:], cells[1:], strict=True):
            facts += _translations(cells[0], foreign, _LANGUAGE_NAMES[lang])
    for question, sentence, word in _rows(tables.COUNTS):
        facts.append(Fact("count", {"en": question}, {"en": sentence}, {"en": word}))
    for *questions, sentence, word in _rows(tables.GENERAL):
        for question in questions:
            facts.append(Fact("general", {"en": question}, {"en": sentence}, {"en": word}))
    return facts


def _translations(english: str, foreign: str, language: str) -> list[Fact]:
    answer = {"en": f'In {language}, "{english}" is "{foreign}".'}
    word = {"en": foreign.split()[-1] if foreign.startswith(_ARTICLES) else foreign}
    plain, quoted = f"{english} in {language}", f"'{english}' in {language}"
    facts = [
        Fact("translate", {"en": form}, answer, word, (plain, quoted)) for form in (plain, quoted)
    ]
    return [*facts, Fact("translate", {"en": f'"{english}" to {language}'}, answer, word)]


def _sums() -> list[Fact]:
    facts = []
    for left, right in product(range(11), repeat=2):
        total = str(left + right)
        spaced, tight = f"{left} + {right}", f"{left}+{right}"
        answer = dict.fromkeys(LANGUAGES, f"{spaced} = {total}.")
        word = dict.fromkeys(LANGUAGES, total)
        for form in (spaced, tight):
            facts.append(Fact("sum", dict.fromkeys(LANGUAGES, form), answer, word, (spaced, tight)))
        facts.append(
            Fact("sum", {"en": f"{left} plus {right}"}, {"en": answer["en"]}, {"en": total})
        )
    return facts


@lru_cache(maxsize=1)
def facts() -> Mapping[str, tuple[Fact, ...]]:
    """Return all facts by topic."""
    everything = [*_capitals(), *_colours(), *_opposites(), *_series(), *_english(), *_sums()]
    return {topic: tuple(f for f in everything if f.topic == topic) for topic in QUESTIONS}
