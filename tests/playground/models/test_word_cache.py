"""Remembered words give the tokens that whole texts give. `structured.test_tokenizer_families` says
so of every kind of vocabulary, too.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from playground.models import word_cache
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loader import load_tokenizer
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import Message
from tests.playground.models.families import SMALL, write_family

WORDS = "the of New a I end ends. isn't (so x=1 12.5 Über café naïve 你好 🙂 <s> [INST] \u0301 \x02"
SPACES = (" ", " ", " ", "  ", "\n", "\t", "\u00a0", "")
TEXTS = st.lists(st.tuples(st.sampled_from(WORDS.split(" ")), st.sampled_from(SPACES))).map(
    lambda parts: "".join(word + space for word, space in parts)
)


def check_remembered_words(plain: ChatTokenizer, folder: Path) -> None:
    """Compare a folder's tokenizer as it is with one that remembers words."""
    remembering = load_tokenizer(folder)
    remembering.remember_words()

    @given(TEXTS)
    def check(text: str) -> None:
        messages = [Message("user", text or "?")]
        assert remembering.render(messages) == plain.render(messages)
        answer = Message("assistant", text or "?")
        assert remembering.render_answer(answer, messages) == plain.render_answer(answer, messages)

    check()


def test_remembered_words_change_no_token() -> None:
    check_remembered_words(load_tokenizer(EMBEDDED_FOLDER), EMBEDDED_FOLDER)


def test_joined_words_are_not_parted() -> None:
    def encode(text: str) -> list[int]:
        return [ord(letter) for letter in text.replace("of the", "\x01")]

    assert word_cache.word_by_word(encode) is encode


@pytest.mark.parametrize("added", [AddedToken("San Marino"), AddedToken("york", rstrip=True)])
def test_added_tokens_over_spaces_are_kept(tmp_path: Path, added: AddedToken) -> None:
    write_family(tmp_path, SMALL)
    file = tmp_path / "tokenizer.json"
    saved = Tokenizer.from_file(str(file))
    saved.add_tokens([added])
    saved.save(str(file))
    plain, remembering = load_tokenizer(tmp_path), load_tokenizer(tmp_path)
    remembering.remember_words()
    messages = [Message("user", "a day in San Marino or york or so on")]
    assert remembering.render(messages) == plain.render(messages)


def test_few_words_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []

    def encode(text: str) -> list[int]:
        encoded.append(text)
        return [*text.encode()]

    monkeypatch.setattr(word_cache, "KNOWN_WORDS", 2)
    remembering = word_cache.word_by_word(encode)
    encoded.clear()
    assert bytes(remembering("one two two two three four")) == b"one two two two three four"
    assert encoded == ["one", " two", " three", " four"]
    encoded.clear()
    remembering("one two four")
    assert encoded == [" two"]


def test_long_text_without_words_is_encoded_whole() -> None:
    encoded: list[str] = []

    def encode(text: str) -> list[int]:
        encoded.append(text)
        return [*text.encode()]

    remembering = word_cache.word_by_word(encode)
    encoded.clear()
    code = "x" * 200 + " y"
    assert bytes(remembering(code)).decode() == code
    assert encoded == [code]
