"""Mistral's own format: ``params.json`` beside ``consolidated*.safetensors``, in bf16 or FP8.

The text tower's tensors get the names that transformers gives them, and the rows of queries and
keys its order: Mistral rotates neighbouring rows of a head, transformers a row of its first half
with one of its second (transformers' convert_mistral_weights_to_hf.py and, for Ministral 3,
convert_ministral3_weights_to_hf.py). A vision tower is left out.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import Ministral3Config, MistralConfig, PretrainedConfig

from playground.errors import BrokenWeights, UnsupportedModel
from playground.models.conversion.fp8 import dequantized, dequantized_dtype, is_dropped
from playground.models.conversion.rotary import half_split
from playground.models.conversion.tensors import read_headers, reading
from playground.models.mistral_vocabulary import find_file
from playground.models.shards import Layout, stored_bytes, write_shards

PARAMS_FILE = "params.json"
WEIGHTS_PATTERN = "consolidated*.safetensors"
DEFAULT_WINDOW = 32_768
"""Where params.json names none, as transformers' script assumes."""
VISION = (
    "vision_encoder.",
    "vision_language_adapter.",
    "patch_merger.",
    "pre_mm_projector_norm.",
)
UNSUPPORTED = ("moe", "q_lora_rank", "kv_lora_rank", "lora", "ssm")
OUTER_NAMES: Mapping[str, str] = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES: Mapping[str, str] = {
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
}
LAYER = re.compile(r"layers\.(\d+)\.(.+)\.weight")


class MistralFormat:
    """A folder in Mistral's own format."""

    form = "Mistral's own format"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        weights = sorted(folder.glob(WEIGHTS_PATTERN))
        tokenizer = find_file(folder)
        if tokenizer is None:
            raise UnsupportedModel(f"{folder} has no tekken.json and no tokenizer.model.vN")
        self._tokenizer = tokenizer
        self.files = [folder / PARAMS_FILE, tokenizer, *weights]
        self._headers = read_headers(weights)

    def config(self) -> PretrainedConfig:
        """Return the text tower's config."""
        config = config_of(read_params(self._folder))
        config.dtype = "bfloat16"
        return config

    def nbytes(self) -> int:
        """Return the bytes of the converted weights."""
        return stored_bytes(self._layout())

    def write(self, folder: Path) -> None:
        """Write config, tokenizer and weights into an existing folder."""
        config = self.config()
        config.architectures = [
            "MistralForCausalLM" if config.model_type == "mistral" else "Ministral3ForCausalLM"
        ]
        config.save_pretrained(folder)
        shutil.copyfile(self._tokenizer, folder / self._tokenizer.name)
        write_shards(self._layout(), self._tensors(config), folder)

    def _names(self) -> Iterator[tuple[str, str]]:
        """Yield stored names of the text tower's tensors with those of transformers."""
        for name in self._headers:
            if not name.startswith(VISION) and not is_dropped(name):
                yield name, converted_name(name)

    def _layout(self) -> Layout:
        return {
            new: (self._headers[old].shape, dequantized_dtype(self._headers[old].dtype))
            for old, new in self._names()
        }

    def _tensors(self, config: PretrainedConfig) -> Iterator[tuple[str, Tensor]]:
        with reading(self._headers) as read:
            for old, new in self._names():
                values = dequantized(old, self._headers, read)
                if new.endswith("q_proj.weight"):
                    values = half_split(values, config.num_attention_heads)
                elif new.endswith("k_proj.weight"):
                    values = half_split(values, config.num_key_value_heads)
                yield new, values


def is_mistral_format(folder: Path) -> bool:
    """Say whether a folder is in Mistral's own format."""
    return (folder / PARAMS_FILE).is_file() and any(folder.glob(WEIGHTS_PATTERN))


def read_params(folder: Path) -> dict[str, Any]:
    """Read params.json. Raises `UnsupportedModel` if it is none."""
    path = folder / PARAMS_FILE
    try:
        params = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModel(f"{path} is not JSON: {error}") from error
    if not isinstance(params, dict):
        raise UnsupportedModel(f"{path} is not an object")
    return params


def config_of(params: Mapping[str, Any]) -> PretrainedConfig:
    """Return the config that transformers has for the text tower of these parameters.

    Raises `UnsupportedModel` for experts, latent attention and what else is not a dense Mistral.
    """
    for key in UNSUPPORTED:
        if params.get(key):
            raise UnsupportedModel(f"{PARAMS_FILE} has {key!r}: dense Mistral models are read")
    window = params.get("max_position_embeddings") or params.get("max_seq_len") or DEFAULT_WINDOW
    sliding = params.get("sliding_window")
    if isinstance(sliding, list) or params.get("_sliding_window"):
        raise UnsupportedModel(f"{PARAMS_FILE}: layers with windows of their own are not read")
    theta = float(params.get("rope_theta") or 10_000.0)
    try:
        shape = {
            "vocab_size": params["vocab_size"],
            "hidden_size": params["dim"],
            "intermediate_size": params["hidden_dim"],
            "num_hidden_layers": params["n_layers"],
            "num_attention_heads": params["n_heads"],
            "num_key_value_heads": params.get("n_kv_heads") or params["n_heads"],
            "head_dim": params.get("head_dim") or params["dim"] // params["n_heads"],
            "rms_norm_eps": params["norm_eps"],
            "tie_word_embeddings": bool(params.get("tied_embeddings")),
            "max_position_embeddings": int(window),
            "sliding_window": None if sliding is None else int(sliding),
        }
        if not params.get("yarn"):
            rope = {"rope_type": "default", "rope_theta": theta}
            return MistralConfig(**shape, rope_parameters=rope)
        return Ministral3Config(**shape, rope_parameters=_yarn(params, theta))
    except KeyError as error:
        raise UnsupportedModel(f"{PARAMS_FILE} has no {error}") from error


def converted_name(name: str) -> str:
    """Return transformers' name of a tensor. Raises `BrokenWeights` for one that it has not."""
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    layer = LAYER.fullmatch(name)
    if layer is None or layer[2] not in LAYER_NAMES:
        raise BrokenWeights(f"{name} is no tensor of a dense Mistral model")
    return f"model.layers.{layer[1]}.{LAYER_NAMES[layer[2]]}.weight"


def _yarn(params: Mapping[str, Any], theta: float) -> dict[str, Any]:
    yarn = params["yarn"]
    scaling = params.get("llama_4_scaling") or {}
    return {
        "rope_type": "yarn",
        "rope_theta": theta,
        "factor": float(yarn["factor"]),
        "original_max_position_embeddings": int(yarn["original_max_position_embeddings"]),
        "beta_fast": float(yarn["beta"]),
        "beta_slow": float(yarn["alpha"]),
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "llama_4_scaling_beta": float(scaling.get("beta", 0.0)),
    }
