"""The forward of the Llama and Mistral family without its modules: a third of the calls a layer.

The same weights and the same arithmetic as transformers' (models/llama/modeling_llama.py and
models/mistral/modeling_mistral.py, 5.23), with products over the same rows joined, residuals added
by the product itself, and rotary angles looked up. Logits agree within rounding (tests).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, rms_norm, silu
from transformers import LlamaForCausalLM, MistralForCausalLM, PreTrainedModel

from playground.engine.attention import Step
from playground.engine.forward import plain_row_multiple
from playground.engine.linear import PACKED_ROWS, linear_of
from playground.engine.lora import AdapterBank

FAMILIES = (LlamaForCausalLM, MistralForCausalLM)
FIXED_ROPES = ("default", "linear", "llama3", "yarn")
"""Rotary embeddings whose angle follows from the position alone."""


def is_fusable(model: PreTrainedModel) -> bool:
    """Whether this model's forward is the one written here."""
    config = model.config
    return (
        type(model) in FAMILIES
        and config.hidden_act == "silu"
        and model.model.rotary_emb.rope_type in FIXED_ROPES
    )


class FusedLlamaForward:
    """A `Forward`. ``packed`` keeps copies of the weights in the CPU's own layout."""

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank, *, packed: bool) -> None:
        inner = model.model
        self._embed = inner.embed_tokens
        self._layers = [
            _Layer(layer, f"model.layers.{at}", adapters, packed=packed)
            for at, layer in enumerate(inner.layers)
        ]
        self._norm = _Norm(inner.norm)
        self._head = linear_of([model.lm_head], packed=packed)
        self._angles = _Angles(inner.rotary_emb, self._embed.weight)
        if packed:
            self.row_multiple = PACKED_ROWS[model.dtype]
        else:
            self.row_multiple = plain_row_multiple(model)

    def __call__(self, token_ids: Tensor, positions: Tensor, keep: Tensor, step: Step) -> Tensor:
        """See `Forward`."""
        hidden: Tensor = self._embed(token_ids)
        cos, sin = self._angles.at(positions, step.longest)
        for layer in self._layers:
            hidden = layer(hidden, cos, sin, step)
        return self._head(self._norm(hidden[keep]))


class _Layer:
    """One decoder layer over ``hidden`` ``[rows, hidden]``."""

    def __init__(self, layer: Any, path: str, adapters: AdapterBank, *, packed: bool) -> None:
        own, feed = layer.self_attn, layer.mlp
        self._index: int = own.layer_idx
        self._scaling: float = own.scaling
        self._window: int | None = getattr(own.config, "sliding_window", None)
        self._head_dim: int = own.head_dim
        self._heads: int = own.q_proj.out_features // own.head_dim
        self._rotated: int = self._heads + own.k_proj.out_features // own.head_dim
        self._before = _Norm(layer.input_layernorm)
        self._between = _Norm(layer.post_attention_layernorm)
        products = {
            "qkv": (f"{path}.self_attn", own, ("q_proj", "k_proj", "v_proj")),
            "out": (f"{path}.self_attn", own, ("o_proj",)),
            "gate_up": (f"{path}.mlp", feed, ("gate_proj", "up_proj")),
            "down": (f"{path}.mlp", feed, ("down_proj",)),
        }
        self._products = {
            name: (
                linear_of([getattr(module, each) for each in names], packed=packed),
                adapters.group(*(f"{where}.{each}" for each in names)),
            )
            for name, (where, module, names) in products.items()
        }

    def __call__(self, hidden: Tensor, cos: Tensor, sin: Tensor, step: Step) -> Tensor:
        """The layer's output, ``[rows, hidden]``; the input is not changed."""
        rows = hidden.shape[0]
        each = self._product("qkv", self._before(hidden)).view(rows, -1, self._head_dim)
        rotated = _rotate(each[:, : self._rotated], cos, sin)
        attended = step.attend(
            self._index,
            rotated[:, : self._heads],
            rotated[:, self._heads :],
            each[:, self._rotated :],
            self._scaling,
            self._window,
        )
        hidden = self._product("out", attended.view(rows, -1), hidden)
        gate, up = self._product("gate_up", self._between(hidden)).chunk(2, dim=-1)
        return self._product("down", silu(gate).mul_(up), hidden)

    def _product(self, name: str, x: Tensor, add: Tensor | None = None) -> Tensor:
        linear, adapters = self._products[name]
        return adapters(x, linear(x, add))


class _Angles:
    """Cosines and signed sines ``[rows, 1, head_dim]`` of rotary embeddings (arXiv:2104.09864)."""

    def __init__(self, rotary: Any, like: Tensor) -> None:
        self._rotary = rotary
        self._like = like
        self._cos, self._sin = self._computed(0)

    def at(self, positions: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """Of these positions, all of them smaller than ``longest``."""
        if longest > self._cos.shape[0]:
            self._cos, self._sin = self._computed(max(2 * self._cos.shape[0], longest, 1024))
        return self._cos[positions], self._sin[positions]

    def _computed(self, count: int) -> tuple[Tensor, Tensor]:
        positions = torch.arange(count, device=self._like.device)[None]
        cos, sin = self._rotary(self._like, positions)
        half = sin.shape[-1] // 2
        signed = torch.cat((-sin[0, :, :half], sin[0, :, half:]), dim=-1)
        return cos[0, :, None].contiguous(), signed[:, None].contiguous()


def _rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """``heads`` ``[rows, heads, head_dim]``; its halves are pairs, as in `rotate_half` there."""
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin)


class _Norm:
    """RMSNorm (arXiv:1910.07467) of ``[rows, hidden]``.

    A CPU has no kernel for it and takes nine operations; it has one for LayerNorm, which is the
    same where the mean is zero, as it is of a row beside its negative.
    """

    def __init__(self, norm: Any) -> None:
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
