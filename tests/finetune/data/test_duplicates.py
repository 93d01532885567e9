"""Repeats are found among any number of texts, by their hashes."""

import random

from finetune.data.duplicates import RepeatFinder, find_repeats

WORDS = [f"word{n}" for n in range(500)]


def text(rng: random.Random) -> list[str]:
    return rng.choices(WORDS, k=60)


def test_changed_word_is_near_duplicate() -> None:
    rng = random.Random(0)
    texts = [text(rng) for _ in range(200)]
    changed = [[*words[:30], "other", *words[31:]] for words in texts]
    found = find_repeats([" ".join(words) for words in (*texts, *changed)])
    assert found.exact == ()
    assert len(found.near) >= 195
    assert all(later - earlier == 200 for later, earlier in found.near)


def test_half_the_words_are_no_near_duplicate() -> None:
    rng = random.Random(0)
    texts = [text(rng) for _ in range(100)]
    changed = [[*words[:30], *text(rng)[30:]] for words in texts]
    assert find_repeats([" ".join(words) for words in (*texts, *changed)]).near == ()


def test_repeat_names_the_first() -> None:
    found = find_repeats(["a b c", "d e f", "a b c", "a b c"])
    assert found.exact == ((2, 0), (3, 0))


def test_texts_without_words_are_compared() -> None:
    assert find_repeats(["!", "", "!"]).exact == ((2, 0),)


def test_nothing_has_no_repeats() -> None:
    assert RepeatFinder().find().near == ()
