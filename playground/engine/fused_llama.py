"""The forward of the Llama and Mistral family without its modules: a third of the calls per layer.

The same weights and the same arithmetic as transformers' (modeling_llama.py, modeling_mistral.py,
modeling_ministral3.py of 5.23), with matmuls over the same rows joined, residuals added by the
matmul itself, and rotary angles looked up. Logits agree within rounding (tests).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, rms_norm, silu
from transformers import (
    LlamaForCausalLM,
    Ministral3ForCausalLM,
    MistralForCausalLM,
    PreTrainedModel,
)
from transformers.models.llama.modeling_llama import (
    LlamaDecoderLayer,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
)

from playground.engine.attention import Step
from playground.engine.forward import plain_row_multiple
from playground.engine.linear import PACKED_ROWS, join_linears
from playground.engine.lora import AdapterBank

FAMILIES = (LlamaForCausalLM, MistralForCausalLM, Ministral3ForCausalLM)
FIXED_ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Rotary embeddings whose angle follows from the position alone."""


def is_fusable(model: PreTrainedModel) -> bool:
    """Say whether `FusedLlamaForward` computes what this model computes."""
    config = model.config
    return (
        type(model) in FAMILIES
        and config.hidden_act == "silu"
        and model.model.rotary_emb.rope_type in FIXED_ROPE_TYPES
    )


class FusedLlamaForward:
    """A `Forward`. ``packed`` copies the weights into the CPU's own layout."""

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank, *, packed: bool) -> None:
        inner = model.model
        self._embed = inner.embed_tokens
        self._layers = [
            _Layer(layer, f"model.layers.{index}", adapters, packed=packed)
            for index, layer in enumerate(inner.layers)
        ]
        self._norm = _Norm(inner.norm)
        self._lm_head = join_linears([model.lm_head], packed=packed)
        self._rotary = _RotaryTable(inner.rotary_emb, self._embed.weight)
        self._query_scale = _QueryScale.of(model)
        if packed:
            self.row_multiple = PACKED_ROWS[model.dtype]
        else:
            self.row_multiple = plain_row_multiple(model)

    def __call__(
        self, token_ids: Tensor, positions: Tensor, logits_rows: Tensor, step: Step
    ) -> Tensor:
        """See `Forward`."""
        hidden: Tensor = self._embed(token_ids)
        cos, sin = self._rotary.lookup(positions, step.max_seqlen_k)
        scale = self._query_scale(positions, hidden.dtype) if self._query_scale else None
        for layer in self._layers:
            hidden = layer(hidden, cos, sin, step, scale)
        return self._lm_head(self._norm(hidden[logits_rows]))


class _Layer:
    """One decoder layer over ``hidden`` ``[rows, hidden]``."""

    def __init__(
        self, layer: LlamaDecoderLayer, path: str, adapters: AdapterBank, *, packed: bool
    ) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._index: int = attention.layer_idx
        self._scaling: float = attention.scaling
        self._window: int | None = getattr(attention.config, "sliding_window", None)
        self._head_dim: int = attention.head_dim
        self._heads: int = attention.q_proj.out_features // attention.head_dim
        self._rotated: int = self._heads + attention.k_proj.out_features // attention.head_dim
        self._input_norm = _Norm(layer.input_layernorm)
        self._post_attention_norm = _Norm(layer.post_attention_layernorm)

        def joined(parent: nn.Module, parent_path: str, *names: str) -> _LinearWithLora:
            modules = [parent.get_submodule(name) for name in names]
            paths = [f"{parent_path}.{name}" for name in names]
            return _LinearWithLora(modules, paths, adapters, packed=packed)

        self._qkv = joined(attention, f"{path}.self_attn", "q_proj", "k_proj", "v_proj")
        self._out = joined(attention, f"{path}.self_attn", "o_proj")
        self._gate_up = joined(mlp, f"{path}.mlp", "gate_proj", "up_proj")
        self._down = joined(mlp, f"{path}.mlp", "down_proj")

    def __call__(
        self, hidden: Tensor, cos: Tensor, sin: Tensor, step: Step, query_scale: Tensor | None
    ) -> Tensor:
        """Return the layer's output ``[rows, hidden]``; the input is not changed."""
        rows = hidden.shape[0]
        heads = self._qkv(self._input_norm(hidden), step).view(rows, -1, self._head_dim)
        rotated = _rotate(heads[:, : self._rotated], cos, sin)
        queries = rotated[:, : self._heads]
        attended = step.attend(
            self._index,
            queries if query_scale is None else queries * query_scale,
            rotated[:, self._heads :],
            heads[:, self._rotated :],
            self._scaling,
            self._window,
        )
        hidden = self._out(attended.view(rows, -1), step, hidden)
        gate, up = self._gate_up(self._post_attention_norm(hidden), step).chunk(2, dim=-1)
        return self._down(silu(gate).mul_(up), step, hidden)


class _LinearWithLora:
    """Linear modules that read the same rows, as one matmul, and the adapters of their rows."""

    def __init__(
        self,
        modules: list[nn.Module],
        paths: list[str],
        adapters: AdapterBank,
        *,
        packed: bool,
    ) -> None:
        self._linear = join_linears(modules, packed=packed)
        self._lora = adapters.lora_linear(*paths)

    def __call__(self, x: Tensor, step: Step, residual: Tensor | None = None) -> Tensor:
        return self._lora(x, self._linear(x, residual), step.adapters)


class _QueryScale:
    """Ministral 3's factor of the queries, which grows with the position beyond the context that
    the model was first trained on.
    """

    def __init__(self, beta: float, original_length: int) -> None:
        self._beta = beta
        self._original_length = original_length

    @classmethod
    def of(cls, model: PreTrainedModel) -> "_QueryScale | None":
        """Return the model's; None where it has none, or a factor of one."""
        rope = getattr(model.config, "rope_parameters", None) or {}
        beta = rope.get("llama_4_scaling_beta")
        if not isinstance(model, Ministral3ForCausalLM) or not beta:
            return None
        return cls(float(beta), int(rope["original_max_position_embeddings"]))

    def __call__(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the factors ``[rows, 1, 1]``."""
        times = torch.floor(positions / self._original_length)
        return (1 + self._beta * torch.log(1 + times)).to(dtype)[:, None, None]


class _RotaryTable:
    """Cosines and signed sines of rotary embeddings (arXiv:2104.09864), by position."""

    def __init__(self, rotary: LlamaRotaryEmbedding, like: Tensor) -> None:
        self._rotary = rotary
        self._like = like
        self._cos, self._sin = self._compute(0)

    def lookup(self, positions: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """Return cos and sin ``[rows, 1, head_dim]`` for ``positions``, all below ``longest``."""
        if longest > self._cos.shape[0]:
            self._cos, self._sin = self._compute(max(2 * self._cos.shape[0], longest, 1024))
        return self._cos[positions], self._sin[positions]

    def _compute(self, count: int) -> tuple[Tensor, Tensor]:
        positions = torch.arange(count, device=self._like.device)[None]
        cos, sin = self._rotary(self._like, positions)
        half = sin.shape[-1] // 2
        signed = torch.cat((-sin[0, :, :half], sin[0, :, half:]), dim=-1)
        return cos[0, :, None].contiguous(), signed[:, None].contiguous()


def _rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate ``heads`` ``[rows, heads, head_dim]``; its halves are pairs, as in `rotate_half`."""
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin)


class _Norm:
    """RMSNorm (arXiv:1910.07467) of ``[rows, hidden]``.

    A CPU has no kernel for it and takes nine operations; it has one for LayerNorm, which is the
    same where the mean is zero, as it is of a row beside its negative (docs/log.md, "An operation
    costs ten times as much in a step as in a loop").
    """

    def __init__(self, norm: LlamaRMSNorm) -> None:
        self._weight: Tensor = norm.weight
        self._epsilon: float = norm.variance_epsilon
        on_cpu = self._weight.device.type == "cpu"
        self._doubled = torch.cat((self._weight, self._weight)) if on_cpu else None

    def __call__(self, hidden: Tensor) -> Tensor:
        if self._doubled is None:
            return rms_norm(hidden, self._weight.shape, self._weight, self._epsilon)
        size = hidden.shape[-1]
        both = torch.cat((hidden, -hidden), dim=-1)
        return layer_norm(both, (2 * size,), self._doubled, None, self._epsilon)[:, :size]
