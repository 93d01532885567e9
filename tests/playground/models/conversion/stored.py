"""The same tiny Mistral in the forms that people have: GGUF, Mistral's own format, FP8."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    Ministral3Config,
    Ministral3ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)

from playground.models.export.gguf_file import interleaved, write_model
from playground.models.export.gguf_vocabulary import vocabulary_of
from playground.models.export.request import GgufType
from playground.models.mistral_tokenizer import MistralTokenizer
from tests.playground.models.mistral_files import write_tokenizer

VOCABULARY = 1024
"""Without control tokens: few, as gguf reads them one by one."""
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 1024,
    "pad_token_id": 11,
}
"""The heads are wider than the hidden states, as in Nemo and in the 24B."""
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 16.0,
    "original_max_position_embeddings": 64,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}
MISTRAL_NAMES = (
    ("model.embed_tokens", "tok_embeddings"),
    ("model.norm", "norm"),
    ("lm_head", "output"),
    ("input_layernorm", "attention_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_proj", "attention.wq"),
    ("self_attn.k_proj", "attention.wk"),
    ("self_attn.v_proj", "attention.wv"),
    ("self_attn.o_proj", "attention.wo"),
    ("mlp.gate_proj", "feed_forward.w1"),
    ("mlp.down_proj", "feed_forward.w2"),
    ("mlp.up_proj", "feed_forward.w3"),
    ("model.layers", "layers"),
)


def write_original(
    folder: Path, version: str = "v7", *, yarn: bool = False, tied: bool = False
) -> PreTrainedModel:
    """A model folder as transformers has it, in bf16; return its model in fp32."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, version, size=VOCABULARY)
    size = MistralTokenizer(folder).vocabulary_size
    torch.manual_seed(0)
    shape = {**SHAPE, "vocab_size": size, "tie_word_embeddings": tied}
    model: PreTrainedModel = (
        Ministral3ForCausalLM(Ministral3Config(**shape, rope_parameters=YARN))
        if yarn
        else MistralForCausalLM(
            MistralConfig(**shape, sliding_window=None, rope_parameters=_plain_rope())
        )
    )
    model = model.bfloat16().eval()
    model.save_pretrained(folder)
    return model.float()


def write_gguf(original: Path, model: PreTrainedModel, path: Path, kind: GgufType) -> None:
    """The model as GGUF of the architecture llama."""
    tensors = stored_tensors(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    write_model(tensors.items(), shapes, model.config, vocabulary_of(original), path, kind)


def write_mistral_format(original: Path, model: PreTrainedModel, folder: Path) -> None:
    """The model in Mistral's own format, with a tensor of a vision tower beside it."""
    folder.mkdir()
    config = model.config
    weights = {
        mistral_name(name): mistral_order(name, tensor, config).bfloat16()
        for name, tensor in stored_tensors(model).items()
    }
    weights["vision_encoder.patch_conv.weight"] = torch.zeros(4, 3, 2, 2)
    save_file(weights, folder / "consolidated.safetensors")
    params = mistral_params(config) | {"vision_encoder": {"hidden_size": 4}}
    (folder / "params.json").write_text(json.dumps(params))
    (folder / "tekken.json").write_bytes((original / "tekken.json").read_bytes())


def mistral_params(config: Any) -> dict[str, Any]:
    """params.json of a config."""
    params: dict[str, Any] = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "head_dim": config.head_dim,
        "hidden_dim": config.intermediate_size,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "norm_eps": config.rms_norm_eps,
        "vocab_size": config.vocab_size,
        "rope_theta": config.rope_parameters["rope_theta"],
        "max_position_embeddings": config.max_position_embeddings,
        "tied_embeddings": config.tie_word_embeddings,
    }
    if config.model_type == "ministral3":
        rope = config.rope_parameters
        original = rope["original_max_position_embeddings"]
        params["yarn"] = {
            "factor": rope["factor"],
            "original_max_position_embeddings": original,
            "beta": rope["beta_fast"],
            "alpha": rope["beta_slow"],
            "apply_scale": False,
        }
        beta = rope["llama_4_scaling_beta"]
        params["llama_4_scaling"] = {"beta": beta, "original_max_position_embeddings": original}
    return params


def stored_tensors(model: PreTrainedModel) -> dict[str, Tensor]:
    """The weights without a tied head."""
    return {
        name: tensor.detach().clone()
        for name, tensor in model.state_dict().items()
        if not (name == "lm_head.weight" and model.config.tie_word_embeddings)
    }


def mistral_name(name: str) -> str:
    """Mistral's name of a tensor."""
    for ours, theirs in MISTRAL_NAMES:
        name = name.replace(ours, theirs)
    return name


def mistral_order(name: str, tensor: Tensor, config: Any) -> Tensor:
    """A tensor with its rows in Mistral's rotary order."""
    if "q_proj" in name:
        return interleaved(tensor, config.num_attention_heads)
    if "k_proj" in name:
        return interleaved(tensor, config.num_key_value_heads)
    return tensor


def logits(model: PreTrainedModel) -> Tensor:
    """What the model computes for a fixed text, longer than the window before its scaling."""
    ids = torch.arange(100, 220)[None]
    with torch.inference_mode():
        found: Tensor = model(input_ids=ids).logits
    return found


def _plain_rope() -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 1e6}
