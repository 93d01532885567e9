"""A Mistral of transformers as llama.cpp reads it: one GGUF file of the architecture ``llama``.

Knows no tokenizer: a token's text is its number, as for `served.number_tokenizer`.
"""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import torch
from transformers import MistralConfig, MistralForCausalLM

ARCHITECTURE = "llama"
TENSORS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""transformers' module, of the model or of a layer: llama.cpp's tensor (of `gguf.MODEL_TENSOR`)."""
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""How SentencePiece writes a space."""


def write_gguf(model: MistralForCausalLM, path: Path) -> None:
    """Matrices in the model's own precision (fp32 or bf16), norms in fp32."""
    bf16 = model.dtype == torch.bfloat16
    writer = gguf.GGUFWriter(path, ARCHITECTURE)
    file_type = gguf.LlamaFileType.MOSTLY_BF16 if bf16 else gguf.LlamaFileType.ALL_F32
    writer.add_file_type(file_type)
    _write_sizes(writer, model.config)
    _write_vocabulary(writer, model.config)
    for name, values in tensors(model):
        if bf16 and values.ndim == 2:
            kind = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(model: MistralForCausalLM) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield tensor names and values as llama.cpp expects them."""
    config = model.config
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, parameter in model.named_parameters():
        module = name.removesuffix(".weight")
        prefix = ""
        if module.startswith("model.layers."):
            _, _, layer, module = module.split(".", 3)
            prefix = f"blk.{layer}."
        values = parameter.detach().float()
        target = TENSORS[module]
        if target in heads:
            values = interleaved(values, heads[target])
        yield f"{prefix}{target}.weight", values.numpy()


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """A projection's rows [heads * width, hidden] from transformers' order, which rotates row i of
    a head with row i + width / 2, to llama.cpp's, which rotates neighbours (``permute`` of its
    conversion/llama.py).
    """
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape).contiguous()


def _write_sizes(writer: gguf.GGUFWriter, config: MistralConfig) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _write_vocabulary(writer: gguf.GGUFWriter, config: MistralConfig) -> None:
    """SentencePiece pieces that are numbers; llama.cpp loads no model without a vocabulary."""
    size = config.vocab_size
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"{SPACE}{number}" for number in range(size)])
    writer.add_token_scores([0.0] * size)
    writer.add_token_types([gguf.TokenType.NORMAL] * size)
    writer.add_add_bos_token(False)
