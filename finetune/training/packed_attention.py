"""Attention over packed rows on a CPU: row by row, so that no scores between rows are computed.

A sequence of 512 tokens that holds six rows has a sixth of the scores of one row. Knows tensors and
transformers' registry of attentions; knows no recipe.
"""

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask
from transformers.models.llama.modeling_llama import eager_attention_forward

NAME = "packed_rows"
KNOWN = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Types of models whose attention is a softmax of scaled products over all tokens before, unless
they have a sliding window."""


def use_packed_attention(model: PreTrainedModel) -> bool:
    """Have a model attend row by row where rows' lengths are given; return whether it can."""
    config = model.config
    if config.model_type not in KNOWN or getattr(config, "sliding_window", None):
        return False
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    model.set_attn_implementation(NAME)
    return True


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    cu_seq_lens_q: Tensor | None = None,
    **rest: object,
) -> tuple[Tensor, Tensor | None]:
    """Attend within each row; ``query`` is (1, heads, tokens, size), ``key`` and ``value`` have
    fewer heads. Without lengths, or with dropout, as transformers does with the mask."""
    if cu_seq_lens_q is None or query.shape[0] != 1 or dropout:
        answer: tuple[Tensor, Tensor | None] = eager_attention_forward(
            module, query, key, value, attention_mask, scaling, dropout, **rest
        )
        return answer
    lengths = cu_seq_lens_q.diff().tolist()
    rows = zip(
        torch.split(query[0] * scaling, lengths, dim=1),
        torch.split(key[0], lengths, dim=1),
        torch.split(value[0], lengths, dim=1),
        strict=True,
    )
    return torch.cat([_row(*row) for row in rows])[None], None


def _row(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One row's values, (tokens, heads, size)."""
    heads, tokens, size = query.shape
    groups = key.shape[0]
    scores = query.reshape(groups, -1, size) @ key.transpose(1, 2)
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    scores = scores.view(heads, tokens, tokens).masked_fill(later, float("-inf"))
    weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    values = weights.view(groups, -1, tokens) @ value
    return values.view(heads, tokens, size).transpose(0, 1)
