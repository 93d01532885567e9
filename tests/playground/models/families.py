"""Tokenizers of every family that transformers has, with vocabularies of real size.

The pieces are those of the vocabularies that mistral-common ships, put into the shapes in which
other families keep theirs: what breaks on their files (long lists of merges, a prefix space, byte
fallback, ids that stand for nothing) is in them, too.
"""

import base64
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode, generate_merges
from transformers.utils.sentencepiece_model_pb2_new import ModelProto

TEKKEN_FILE = "data/tekken_240718.json"
SENTENCEPIECE_FILE = "data/mistral_instruct_tokenizer_240323.model.v3"
TEKKEN_SIZE, TEKKEN_END_ID = 131_072, 2
BYTE_BPE_SIZE = 49_152
"""As many as SmolLM2 and GPT-2 have, about."""
FEW = 2_000
PADDING = 1_024
"""Ids that the model has and the tokenizer does not."""
WORDS = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"
TEMPLATE = """{%- if tools %}{{- '<|im_start|>system\\n<tools>' }}{%- for tool in tools %}
{{- tool | tojson }}{%- endfor %}{{- '</tools> Calls: <tool_call></tool_call><|im_end|>\\n' }}
{%- endif %}{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}
{{- message.content or '' }}{{- '<|im_end|>\\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


@cache
def _byte_pieces() -> list[bytes]:
    """By rank."""
    document = json.loads(files("mistral_common").joinpath(TEKKEN_FILE).read_bytes())
    entries = document["vocab"][:BYTE_BPE_SIZE]
    return [base64.b64decode(entry["token_bytes"]) for entry in entries]


@cache
def _sentencepieces() -> Mapping[str, float]:
    """Piece and score, without control tokens."""
    proto = ModelProto()
    proto.ParseFromString(files("mistral_common").joinpath(SENTENCEPIECE_FILE).read_bytes())
    pieces = {piece.piece: piece.score for piece in proto.pieces if piece.type in (1, 6)}
    return MappingProxyType(pieces)


@cache
def _byte_bpe(size: int) -> models.BPE:
    stand_ins = bytes_to_unicode()
    ranks = {piece: rank for rank, piece in enumerate(_byte_pieces()[:size])}
    names = {piece: "".join(stand_ins[byte] for byte in piece) for piece in ranks}
    merges = []
    for piece in ranks:
        halves = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        known = [pair for pair in halves if pair[0] in ranks and pair[1] in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [(names[left], names[right]) for left, right in known]
    vocabulary = {names[piece]: rank for piece, rank in ranks.items()}
    return models.BPE(vocab=vocabulary, merges=merges)


def _gpt2(size: int = BYTE_BPE_SIZE) -> Tokenizer:
    backend = Tokenizer(_byte_bpe(size))
    digits = pre_tokenizers.Digits(individual_digits=True)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    backend.decoder = decoders.ByteLevel()
    return backend


def _tiktoken() -> Tokenizer:
    backend = Tokenizer(_byte_bpe(BYTE_BPE_SIZE))
    words = pre_tokenizers.Split(Regex(WORDS), "isolated")
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, pieces])
    backend.decoder = decoders.Sequence([decoders.ByteLevel()])
    return backend


def _sentencepiece(*, prefix: bool) -> Tokenizer:
    """``prefix``: as Llama 2, whose texts get a space before them; without as Gemma."""
    scores = dict(_sentencepieces())
    vocabulary = {"<unk>": 0} | {piece: at for at, piece in enumerate(scores, start=1)}
    merges = generate_merges(scores, scores)
    backend = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    marked = normalizers.Replace(" ", "▁")
    first = [normalizers.Prepend("▁")] if prefix else []
    backend.normalizer = normalizers.Sequence([*first, marked])
    last = [decoders.Strip(" ", 1, 0)] if prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *last]
    )
    return backend


def _unigram() -> Tokenizer:
    pieces = [("<unk>", 0.0), *_sentencepieces().items()]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return backend


FAMILIES: Mapping[str, Callable[[], Tokenizer]] = MappingProxyType(
    {
        "byte BPE": _gpt2,
        "tiktoken": _tiktoken,
        "SentencePiece with a prefix space": lambda: _sentencepiece(prefix=True),
        "SentencePiece": lambda: _sentencepiece(prefix=False),
        "Unigram": _unigram,
    }
)


SMALL = "byte BPE of few pieces"
"""Not of real size, for what takes seconds to be read from GGUF."""
TEKKEN = "Tekken"
"""Mistral's own, which no `Tokenizer` writes."""


def write_family(folder: Path, family: str) -> None:
    """A model with random weights and a tokenizer of that family, in the hub's layout."""
    size, end_id = (_write_tekken if family == TEKKEN else _write_fast)(folder, family)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size + PADDING,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=end_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def _write_fast(folder: Path, family: str) -> tuple[int, int]:
    """Return the number of tokens, and the one that ends an answer."""
    backend = _gpt2(FEW) if family == SMALL else FAMILIES[family]()
    specials = ["<|im_start|>", "<|im_end|>"]
    backend.add_special_tokens([AddedToken(name, special=True) for name in specials])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=specials[-1])
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    (end_id,) = tokenizer.convert_tokens_to_ids([specials[-1]])
    return len(tokenizer), end_id


def _write_tekken(folder: Path, _family: str) -> tuple[int, int]:
    """Return the number of tokens, and the one that ends an answer."""
    shipped = files("mistral_common").joinpath(TEKKEN_FILE).read_bytes()
    (folder / "tekken.json").write_bytes(shipped.replace(b'"version": "v3"', b'"version": "v7"', 1))
    return TEKKEN_SIZE, TEKKEN_END_ID
