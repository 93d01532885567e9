"""Tokenizer files of every version of Mistral's, and models with random weights around them.

SentencePiece files are those that mistral-common ships. Tekken files have the vocabulary that it
ships, whole or cut, and the control tokens that the published files of their version have.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import MistralConfig, MistralForCausalLM

from playground.models.mistral_tokenizer import MistralTokenizer

TEKKEN = "data/tekken_240718.json"
SENTENCEPIECE: Mapping[str, str] = MappingProxyType(
    {
        "v1": "tokenizer.model.v1",
        "v2": "mistral_instruct_tokenizer_240216.model.v2",
        "v3": "mistral_instruct_tokenizer_240323.model.v3",
        "v7": "mistral_instruct_tokenizer_241114.model.v7",
    }
)
TEKKEN_VERSIONS = ("v3", "v7", "v11", "v13", "v15")
KINDS = (*(f"{version} pieces" for version in SENTENCEPIECE), *TEKKEN_VERSIONS)
"""What `write_tokenizer` writes; "pieces" is SentencePiece."""
CONTROL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]"),
    *("[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    "[TOOL_CONTENT]",
)
SINCE_V11 = ("[ARGS]", "[CALL_ID]")
SINCE_V13 = ("[THINK]", "[/THINK]")
SINCE_V15 = ("[MODEL_SETTINGS]", "[/MODEL_SETTINGS]")
EFFORTS = ("none", "high")
SETTINGS = {
    "reasoning_effort": {
        "type": "enum",
        "accepts_none": True,
        "values": EFFORTS,
        "default": "none",
    },
    "json_schema": {"type": "json_schema", "accepts_none": False, "default": None},
}


def write_tokenizer(folder: Path, kind: str, *, size: int = 4096, **config: Any) -> Path:
    """Write one of `KINDS`; ``size`` is of a Tekken vocabulary without its control tokens, and
    ``config`` replaces fields of its config. Return the file.
    """
    version = kind.split()[0]
    if kind.endswith("pieces"):
        name = SENTENCEPIECE[version]
        path = folder / f"tokenizer.model.{name.rsplit('.', 1)[1]}"
        path.write_bytes(files("mistral_common").joinpath(f"data/{name}").read_bytes())
        return path
    document = json.loads(_tekken(size))
    number = int(version[1:])
    names = [*CONTROL]
    for since, more in ((11, SINCE_V11), (13, SINCE_V13), (15, SINCE_V15)):
        names += more if number >= since else ()
    slots = 32
    document["special_tokens"] = [
        {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)
    ]
    document["config"] |= {
        "version": version,
        "num_vocab_tokens": size,
        "default_vocab_size": size + slots,
        "default_num_special_tokens": slots,
        **config,
    }
    if number >= 15:
        document["model_settings_builder"] = SETTINGS
    path = folder / "tekken.json"
    path.write_text(json.dumps(document))
    return path


@cache
def _tekken(size: int) -> str:
    """The file that mistral-common ships, with so many entries: all of them take long to parse."""
    document = json.loads(files("mistral_common").joinpath(TEKKEN).read_bytes())
    return json.dumps(document | {"vocab": document["vocab"][:size]})


def write_model(folder: Path, kind: str) -> None:
    """A tiny Mistral with random weights and a tokenizer of that kind, in the hub's layout."""
    write_tokenizer(folder, kind)
    tokenizer = MistralTokenizer(folder)
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=4096,
        sliding_window=None,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=min(tokenizer.end_ids),
    )
    MistralForCausalLM(config).save_pretrained(folder)
