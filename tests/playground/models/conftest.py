"""Model folders made for the tests: real architectures, random weights, a vocabulary of bytes."""

import base64
import json
import os
from pathlib import Path

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

BYTES = 256
SPECIALS = 32


def write_byte_tekken(folder: Path) -> None:
    """A V7 tekken.json whose tokens are the 256 bytes and a few runs of the letter e."""
    pieces = [bytes([value]) for value in range(BYTES)] + [b"e" * n for n in (2, 3, 4)]
    vocabulary = [
        {
            "rank": rank,
            "token_bytes": base64.b64encode(piece).decode(),
            "token_str": piece.decode("utf-8", "ignore") or None,
        }
        for rank, piece in enumerate(pieces)
    ]
    config = {
        "pattern": r"\p{L}+|\p{N}|[^\p{L}\p{N}]+",
        "num_vocab_tokens": len(pieces),
        "default_vocab_size": len(pieces) + SPECIALS,
        "default_num_special_tokens": SPECIALS,
        "version": "v7",
    }
    document = {"config": config, "vocab": vocabulary, "version": 1, "type": "Tekken"}
    (folder / "tekken.json").write_text(json.dumps(document))


@pytest.fixture(scope="session", autouse=True)
def _offline() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def mistral_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random MistralForCausalLM in bf16 with a byte vocabulary."""
    folder = tmp_path_factory.mktemp("tiny-mistral")
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=BYTES + 3 + SPECIALS,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        sliding_window=None,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=11,
    )
    MistralForCausalLM(config).bfloat16().save_pretrained(folder)
    write_byte_tekken(folder)
    return folder
