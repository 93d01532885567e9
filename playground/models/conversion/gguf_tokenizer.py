"""Tokenizers in GGUF files: Mistral's Tekken gets its own file back.

With it mistral-common renders conversations, in the form of calls of the file's version; a chat
template in Jinja could only be guessed at.
"""

import base64
import json
from collections.abc import Mapping, Sequence

import gguf
from transformers.convert_slow_tokenizer import bytes_to_unicode

TEKKEN_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What llama.cpp calls ``tekken``, as in all of Mistral's published tekken files."""
TEMPLATE_MARKS = (
    ("v15", "[MODEL_SETTINGS]"),
    ("v11", "[CALL_ID]"),
    ("v13", "[ARGS]"),
    ("v7", "[SYSTEM_PROMPT]"),
    ("v3", "[INST]"),
)
"""A version's template has its mark, and none of those before it."""
TOKEN_MARKS = (
    ("v15", "[MODEL_SETTINGS]"),
    ("v13", "[THINK]"),
    ("v11", "[ARGS]"),
    ("v7", "[SYSTEM_PROMPT]"),
    ("v3", "[INST]"),
)
"""The same of control tokens, for a file without a template."""
FIRST_BYTES = 256
"""Tekken's first pieces are the bytes."""
BYTE_OF: Mapping[str, int] = {stand_in: byte for byte, stand_in in bytes_to_unicode().items()}


def restored_tekken(
    tokens: Sequence[str], types: Sequence[int], template: str | None
) -> str | None:
    """Return the tekken.json whose vocabulary this is; None if it is not laid out as one.

    Tekken's control tokens come first, then its pieces in the order of their ranks.
    """
    control = int(gguf.TokenType.CONTROL)
    special = next((at for at, kind in enumerate(types) if kind != control), 0)
    end = next(
        (at for at, kind in enumerate(types) if kind == int(gguf.TokenType.UNUSED)), len(tokens)
    )
    version = version_of(template, tokens[:special])
    if version is None or control in types[special:]:
        return None
    try:
        pieces = [bytes(BYTE_OF[character] for character in token) for token in tokens[special:end]]
    except KeyError:
        return None
    if len(pieces) < FIRST_BYTES or pieces[:FIRST_BYTES] != [bytes([b]) for b in range(256)]:
        return None
    config = {
        "pattern": TEKKEN_PATTERN,
        "num_vocab_tokens": len(pieces),
        "default_vocab_size": len(pieces) + special,
        "default_num_special_tokens": special,
        "version": version,
    }
    vocabulary = [
        {
            "rank": rank,
            "token_bytes": base64.b64encode(piece).decode(),
            "token_str": _text(piece),
        }
        for rank, piece in enumerate(pieces)
    ]
    names = [
        {"rank": rank, "token_str": name, "is_control": True}
        for rank, name in enumerate(tokens[:special])
    ]
    return json.dumps({"config": config, "vocab": vocabulary, "special_tokens": names})


def version_of(template: str | None, control: Sequence[str]) -> str | None:
    """Return Tekken's version by the chat template, or by the control tokens without one."""
    marks = TEMPLATE_MARKS if template else TOKEN_MARKS
    return next((version for version, mark in marks if mark in (template or control)), None)


def restored_template(template: object) -> object:
    """Return a file's chat template; a list of named ones has the default one."""
    if isinstance(template, dict):
        return template.get("default") or next(iter(template.values()), None)
    return template


def _text(piece: bytes) -> str | None:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return None
