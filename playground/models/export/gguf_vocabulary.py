"""A tokenizer as GGUF carries it: pieces, merges, control tokens, chat template.

llama.cpp knows the patterns that split a text by name only. A pattern that is not among those is
said in a note: token ids are the same then, but a text may be split otherwise.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import gguf
from gguf.vocab import BpeVocab, LlamaHfVocab, SpecialVocab
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer as CommonTokenizer
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from playground.errors import UnsupportedModel
from playground.models.export.chat_templates import JINJA_TEMPLATES, settings_template
from playground.models.mistral_vocabulary import TEKKEN_FILE

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""How SentencePiece writes a space."""
TEKKEN_PATTERN_START = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
"""How Mistral's own tekken files begin their pattern, which llama.cpp calls ``tekken``."""
PATTERNS = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": "gpt-2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
}
"""Patterns of byte-level BPE by llama.cpp's names (``llama_vocab::impl::load``)."""

UNKNOWN_PATTERN = (
    "llama.cpp has no name for the pattern by which this tokenizer splits texts: token ids mean "
    "the same there, but a text may be split into other tokens"
)


class NumberVocabulary:
    """SentencePiece pieces that are their own numbers, for a model without a tokenizer."""

    def write(self, writer: gguf.GGUFWriter, size: int) -> None:
        """Add the fields."""
        writer.add_tokenizer_model("llama")
        writer.add_token_list([f"{SPACE}{number}" for number in range(size)])
        writer.add_token_scores([0.0] * size)
        writer.add_token_types([gguf.TokenType.NORMAL] * size)
        writer.add_add_bos_token(False)


class TekkenVocabulary:
    """A tekken.json. Raises `UnsupportedModel` if mistral-common cannot read it."""

    def __init__(self, path: Path) -> None:
        vocabulary = CommonTokenizer.from_file(str(path)).instruct_tokenizer.tokenizer
        if not isinstance(vocabulary, Tekkenizer):
            raise UnsupportedModel(f"{path} is not a tekken vocabulary")
        self._vocabulary = vocabulary
        self.template = _tekken_template(vocabulary)
        pattern = json.loads(path.read_text(encoding="utf-8"))["config"]["pattern"]
        self.notes = _tekken_notes(pattern, vocabulary.version.value, self.template)

    def name_of(self, token: int) -> str:
        """Return a control token's spelling."""
        return str(self._vocabulary.id_to_piece(token))

    def write(self, writer: gguf.GGUFWriter, size: int) -> None:
        """Add the fields; rows of the embeddings beyond the vocabulary are unused tokens."""
        known, special = self._vocabulary.n_words, self._vocabulary.num_special_tokens
        pieces = [self._vocabulary.id_to_byte_piece(token) for token in range(special, known)]
        names = [self._vocabulary.id_to_piece(token) for token in range(special)]
        unused = [f"[UNUSED_{token}]" for token in range(known, size)]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("tekken")
        writer.add_token_list([*names, *map(_in_characters, pieces), *unused])
        writer.add_token_types(
            [gguf.TokenType.CONTROL] * special
            + [gguf.TokenType.NORMAL] * len(pieces)
            + [gguf.TokenType.UNUSED] * len(unused)
        )
        writer.add_token_merges(list(merges(pieces)))
        writer.add_bos_token_id(self._vocabulary.bos_id)
        writer.add_eos_token_id(self._vocabulary.eos_id)
        writer.add_unk_token_id(self._vocabulary.unk_id)
        writer.add_pad_token_id(self._vocabulary.pad_id)
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(False)
        if self.template:
            writer.add_chat_template(self.template)


class FolderVocabulary:
    """A folder's tokenizer.json: byte-level BPE, or SentencePiece's BPE."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise UnsupportedModel(f"{folder} has neither {TEKKEN_FILE} nor tokenizer.json")
        parsed = json.loads(path.read_text(encoding="utf-8"))
        if parsed["model"].get("type") != "BPE":
            kind = parsed["model"].get("type")
            raise UnsupportedModel(f"{path}: GGUF is written for BPE tokenizers, this is {kind}")
        self._folder = folder
        self._is_byte_level = '"ByteLevel"' in json.dumps(
            [parsed.get("pre_tokenizer"), parsed.get("decoder")]
        )
        self._pre = _pre_name(parsed.get("pre_tokenizer"))
        self.notes = () if self._pre or not self._is_byte_level else (UNKNOWN_PATTERN,)
        self._added = {token["id"]: token["content"] for token in parsed.get("added_tokens", ())}

    def name_of(self, token: int) -> str:
        """Return a control token's spelling."""
        return str(self._added[token])

    def write(self, writer: gguf.GGUFWriter, size: int) -> None:
        """Add the fields; rows of the embeddings beyond the vocabulary are unused tokens."""
        vocabulary = (BpeVocab if self._is_byte_level else LlamaHfVocab)(self._folder)
        writer.add_tokenizer_model("gpt2" if self._is_byte_level else "llama")
        writer.add_tokenizer_pre(self._pre or "default")
        tokens = list(vocabulary.all_tokens())
        unused = [(f"[UNUSED_{token}]".encode(), -1000.0, gguf.TokenType.UNUSED)
                  for token in range(len(tokens), size)]  # fmt: skip
        names, scores, types = zip(*tokens, *unused, strict=True)
        writer.add_token_list(names)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        SpecialVocab(self._folder, load_merges=self._is_byte_level, n_vocab=size).add_to_gguf(
            writer, quiet=True
        )


def vocabulary_of(folder: Path) -> TekkenVocabulary | FolderVocabulary:
    """Return a model folder's vocabulary; its ``notes`` say what to know of it.

    Raises `UnsupportedModel` for a tokenizer that GGUF cannot carry.
    """
    tekken = folder / TEKKEN_FILE
    return TekkenVocabulary(tekken) if tekken.is_file() else FolderVocabulary(folder)


def merges(pieces: Sequence[bytes]) -> list[str]:
    """Return the pairs that make each piece, in the order of ranks. The first 256 are bytes.

    A tekken file has ranks only: every pair of pieces that joins to a piece may be merged to it.
    """
    known = set(pieces)
    found = []
    for piece in pieces[256:]:
        for cut in range(1, len(piece)):
            if piece[:cut] in known and piece[cut:] in known:
                found.append(f"{_in_characters(piece[:cut])} {_in_characters(piece[cut:])}")
    return found


_CHARACTERS = tuple(bytes_to_unicode()[byte] for byte in range(256))


def _in_characters(piece: bytes) -> str:
    """GPT-2's stand-ins for bytes."""
    return "".join(_CHARACTERS[byte] for byte in piece)


def _tekken_template(vocabulary: Tekkenizer) -> str | None:
    """Return the Jinja form of the version's template; version 15's has the file's settings."""
    settings = vocabulary.model_settings_builder
    if settings is None:
        return JINJA_TEMPLATES.get(vocabulary.version.value)
    effort = settings.reasoning_effort
    default = effort.default if effort else None
    return settings_template(str(default) if default else None)


def _tekken_notes(pattern: str, version: str, template: str | None) -> tuple[str, ...]:
    notes = []
    if not pattern.startswith(TEKKEN_PATTERN_START):
        notes.append(UNKNOWN_PATTERN)
    if template is None:
        notes.append(f"no chat template is written for {version} of Mistral's tokenizer")
    return tuple(notes)


def _pre_name(pre_tokenizer: object) -> str | None:
    """Return llama.cpp's name of a tokenizer.json's pattern; None if it has none."""
    if not isinstance(pre_tokenizer, dict):
        return None
    steps = pre_tokenizer.get("pretokenizers") or [pre_tokenizer]
    patterns = [step["pattern"].get("Regex", "") for step in steps if step["type"] == "Split"]
    if not patterns:
        byte_level = [step for step in steps if step["type"] == "ByteLevel"]
        return "gpt-2" if byte_level and byte_level[0].get("use_regex", True) else None
    return PATTERNS.get(patterns[0]) if len(patterns) == 1 else None
