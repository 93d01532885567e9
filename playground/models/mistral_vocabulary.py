"""The two kinds of vocabulary that Mistral's tokenizers have: Tekken and SentencePiece.

Knows tokens, bytes and text; knows no message and no template.
"""

import codecs
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from mistral_common.exceptions import MistralCommonException
from mistral_common.tokens.tokenizers.base import Tokenizer
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer as CommonTokenizer
from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from playground.errors import UnsupportedModel
from playground.models.word_cache import Encode, word_by_word

Common: TypeAlias = CommonTokenizer[Any, Any, Any, Any, Any]
TEKKEN_FILE = "tekken.json"
SENTENCEPIECE_FILES = "tokenizer.model.v*"
"""The ending is the version. A bare ``tokenizer.model`` has none: other families have one, too."""
SPACE = "\u2581"
"""How SentencePiece writes a space; it puts one before each text."""
BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
SENTINEL = "\x02"
"""Put before a text that is encoded as after other text; no vocabulary joins it to a letter."""


class Vocabulary(Protocol):
    """Tokens as bytes and text as tokens."""

    @property
    def text_prefix(self) -> str:
        """What a text that follows a control token begins with: nothing, or a space."""
        ...

    def remember_words(self) -> None:
        """See `playground.models.tokenizer.ChatTokenizer`."""
        ...

    def encode_plain(self, text: str) -> list[int]:
        """Encode text as it goes on after other text."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; empty for a control token."""
        ...


def find_file(folder: Path) -> Path | None:
    """Return the folder's tokenizer file that mistral-common reads, if it has one."""
    if (folder / TEKKEN_FILE).exists():
        return folder / TEKKEN_FILE
    return next(iter(sorted(folder.glob(SENTENCEPIECE_FILES), reverse=True)), None)


def read_file(path: Path) -> Common:
    """Read a tokenizer file. Raises `UnsupportedModel` with the reason where that fails."""
    try:
        return CommonTokenizer.from_file(str(path))
    except ImportError as error:
        raise UnsupportedModel(f"{path}: {error}") from error
    except (MistralCommonException, ValueError, KeyError, TypeError, AssertionError) as error:
        raise UnsupportedModel(f"{path} is not a tokenizer of Mistral's: {error}") from error


def vocabulary_of(tokenizer: Tokenizer, path: Path) -> "TekkenVocabulary | PieceVocabulary":
    """Wrap mistral-common's tokenizer. Raises `UnsupportedModel` for a third kind."""
    if isinstance(tokenizer, Tekkenizer):
        return TekkenVocabulary(tokenizer)
    if isinstance(tokenizer, SentencePieceTokenizer):
        return PieceVocabulary(tokenizer)
    raise UnsupportedModel(f"{path} is neither a Tekken nor a SentencePiece vocabulary")


def control_names(tokenizer: Tokenizer) -> Mapping[int, str]:
    """Return control tokens by id: Mistral's ``[NAME]`` as ``<NAME>``."""
    ids = {*tokenizer.special_ids, tokenizer.unk_id}
    return {token: f"<{tokenizer.id_to_piece(token).strip('[]<>')}>" for token in sorted(ids)}


class TekkenVocabulary:
    """A byte-level vocabulary: its texts begin with nothing."""

    text_prefix = ""

    def __init__(self, tokenizer: Tekkenizer) -> None:
        self._tokenizer = tokenizer
        self._model = tokenizer._model
        self._begin, self._end = [tokenizer.bos_id], [tokenizer.eos_id]
        self._offset = tokenizer.num_special_tokens
        self._encode_text: Encode = self._encode_whole
        tokenizer.encode = self._encode  # type: ignore[method-assign]

    def remember_words(self) -> None:
        """See `Vocabulary`."""
        self._encode_text = word_by_word(self._encode_whole)

    def _encode_whole(self, text: str) -> list[int]:
        """mistral-common 1.13 looks the offset up anew for each token (50 µs for 88, here 41), and
        for special tokens in the text, of which its tiktoken has none."""
        offset = self._offset
        return [token + offset for token in self._model.encode_ordinary(text)]

    def _encode(self, s: str, bos: bool, eos: bool) -> list[int]:
        """Encode as mistral-common's method does."""
        tokens = self._encode_text(s)
        if bos:
            tokens = self._begin + tokens
        return tokens + self._end if eos else tokens

    def encode_plain(self, text: str) -> list[int]:
        """See `Vocabulary`."""
        return self._encode(text, bos=False, eos=False)

    def token_bytes(self, token_id: int) -> bytes:
        """See `Vocabulary`."""
        if self._tokenizer.is_special(token_id):
            return b""
        return self._tokenizer.id_to_byte_piece(token_id)


class PieceVocabulary:
    """A SentencePiece vocabulary with byte fallback: its texts begin with a space."""

    text_prefix = " "

    def __init__(self, tokenizer: SentencePieceTokenizer) -> None:
        self._tokenizer = tokenizer
        self._sentinel_length = len(tokenizer.encode(SENTINEL, bos=False, eos=False))
        self._control = {*tokenizer.special_ids, tokenizer.unk_id}

    def remember_words(self) -> None:
        """Nothing: SentencePiece puts a space before each text, so that words have other tokens
        inside it."""

    def encode_plain(self, text: str) -> list[int]:
        """See `Vocabulary`."""
        ids = self._tokenizer.encode(SENTINEL + text, bos=False, eos=False)
        return ids[self._sentinel_length :]

    def token_bytes(self, token_id: int) -> bytes:
        """See `Vocabulary`."""
        if token_id in self._control:
            return b""
        piece = self._tokenizer.id_to_piece(token_id)
        byte = BYTE_PIECE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE, " ").encode()


class ByteDetokenizer:
    """Joins token bytes and emits complete characters, without ``prefix`` before the first one."""

    def __init__(self, vocabulary: Vocabulary, prefix: str = "") -> None:
        self._vocabulary = vocabulary
        self._prefix = prefix
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """See `playground.models.tokenizer.Detokenizer`."""
        return self._without_prefix(self._decoder.decode(self._vocabulary.token_bytes(token_id)))

    def flush(self) -> str:
        """See `playground.models.tokenizer.Detokenizer`."""
        return self._without_prefix(self._decoder.decode(b"", final=True))

    def _without_prefix(self, text: str) -> str:
        prefix = self._prefix
        if text and prefix:
            self._prefix = ""
            return text.removeprefix(prefix)
        return text
