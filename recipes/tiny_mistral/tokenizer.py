"""Build ``tekken.json``: byte-level BPE in the V7-Tekken format, small enough to ship.

Two choices differ from the large vocabularies. A word never carries its leading space (except a few
common words), so that a value has the same tokens in a sentence and between JSON quotes, which
copying needs. And each piece of boilerplate in tool schemas is a single token.
"""

import base64
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers.convert_slow_tokenizer import bytes_to_unicode

from playground.files import write_atomic
from recipes.tiny_mistral.corpus import Draw, draw_row
from recipes.tiny_mistral.corpus.draw import words
from recipes.tiny_mistral.corpus.rows import CorpusRow

SPECIAL_SLOTS = 32
SPECIALS = words(
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS]"
    " [/TOOL_RESULTS] [TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE]"
    " [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT]"
)
BOILERPLATE = (
    '[{"type": "function", "function": {"name": "',
    '", "description": "',
    '", "parameters": {"type": "object", "properties": {"',
    '": {"type": "string", "description": "',
    '": {"type": "integer", "description": "',
    '": {"type": "number", "description": "',
    '": {"type": "string", "enum": ["',
    '": {"type": "string"}, "',
    '": {"type": "integer"}, "',
    '": {"type": "number"}, "',
    '": {"type": "string"}}, "required": ["',
    '": {"type": "integer"}}, "required": ["',
    '": {"type": "number"}}, "required": ["',
    '"}}, "required": ["',
    '"]}}}, {"type": "function", "function": {"name": "',
    '"]}}}]',
    '"]}, "',
    '[{"name": "',
    '", "arguments": {"',
    '{"type": "object", "properties": {"',
    '{"answer": "',
    '"}}, {"name": "',
    '}}, {"name": "',
    '"}, "',
    '": "',
    '", "',
    '": ',
    '"}}]',
    "}}]",
)
COMMON_WORDS = words(
    "the is of a an in to for and with me you my what can could please from at on by it not"
    " that this are do does your I as de la le les est es el un una que der die das ist von du"
    " ein"
)


def _escaped(text: str) -> str:
    return re.sub(r"([\\\[\]{}().*+?^$|])", r"\\\1", text)


def _longest_first() -> list[str]:
    return sorted(BOILERPLATE, key=len, reverse=True)


def pattern() -> str:
    """Return the regular expression that splits text before BPE."""
    literals = "|".join(_escaped(text) for text in _longest_first())
    words = "|".join(COMMON_WORDS)
    return rf"{literals}| (?:{words})(?!\p{{L}})|\p{{L}}+|\p{{N}}|[^\p{{L}}\p{{N}}]+"


def row_texts(row: CorpusRow) -> Iterator[str]:
    """Yield every text of a row as the model reads it."""
    if row.tools:
        yield json.dumps(list(row.tools), ensure_ascii=False)
    for turn in row.turns:
        if turn.calls:
            yield json.dumps([call.as_json() for call in turn.calls], ensure_ascii=False)
        elif turn.text:
            yield turn.text


def _merges(vocab_size: int, rows: int, seed: int) -> list[bytes]:
    """Train BPE on the corpus; return its tokens in merge order."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern()), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=4,
    )
    draw = Draw(random.Random(seed))
    boilerplate = re.compile("|".join(_escaped(text) for text in _longest_first()))
    pieces = (
        piece
        for _ in range(rows)
        for text in row_texts(draw_row(draw))
        for piece in boilerplate.split(text)
        if piece
    )
    bpe.train_from_iterator(pieces, trainer)
    to_byte = {char: byte for byte, char in bytes_to_unicode().items()}
    merges = json.loads(bpe.to_str())["model"]["merges"]
    return [bytes(to_byte[char] for char in left + right) for left, right in merges]


def build(path: Path, vocab_size: int, rows: int, seed: int) -> int:
    """Write ``tekken.json`` with at most ``vocab_size`` entries; return their number."""
    wanted = vocab_size - SPECIAL_SLOTS - len(BOILERPLATE)
    tokens = dict.fromkeys(bytes([byte]) for byte in range(256))
    tokens |= dict.fromkeys(_merges(wanted, rows, seed))
    tokens |= dict.fromkeys(text.encode() for text in _longest_first())
    entries = [
        {
            "rank": rank,
            "token_bytes": base64.b64encode(token).decode(),
            "token_str": _text_or_none(token),
        }
        for rank, token in enumerate(tokens)
    ]
    total = len(entries) + SPECIAL_SLOTS
    document = {
        "config": {
            "pattern": pattern(),
            "num_vocab_tokens": len(entries),
            "default_vocab_size": total,
            "default_num_special_tokens": SPECIAL_SLOTS,
            "version": "v7",
        },
        "vocab": entries,
        "special_tokens": [
            {"rank": rank, "token_str": text, "is_control": True}
            for rank, text in enumerate(SPECIALS)
        ],
        "version": 1,
        "type": "Tekken",
    }
    write_atomic(path, json.dumps(document, ensure_ascii=False))
    return total


def _text_or_none(token: bytes) -> str | None:
    try:
        return token.decode()
    except UnicodeDecodeError:
        return None
