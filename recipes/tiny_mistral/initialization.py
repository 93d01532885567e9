"""Structured initialization: the model can copy before it has seen any text.

Copying (argument values, names, extracted fields) is what a tiny model learns last. It needs an
induction circuit, two kinds of heads in sequence (arXiv:2209.11895), so the circuit is written
into the weights before training:

1. Layer 0: previous-token heads. Every embedding carries the same constant in channel 0. Queries
   and keys read only that channel, so the score depends on the rotary angle alone; the query is
   rotated by a fixed distance (1, 1, 2, 3), which makes a head attend exactly that far back. It
   writes the attended token into the residual stream under a projection of its own.
2. Layers 1 and 2: match heads. The query reads the current token, the key reads what layer 0 wrote
   ("the token before me was ..."): attention goes to the token after the earlier occurrence of the
   current token, and the value writes that token into the stream, where the tied embeddings
   predict it.

Matching must not depend on position, so it uses only the rotary pairs that hardly turn; with theta
1e8 there are enough of them. All other weights start small and random as usual, scaled down.
"""

import torch
from torch import Tensor
from transformers import MistralConfig, MistralForCausalLM
from transformers.models.mistral.modeling_mistral import MistralAttention

from recipes.tiny_mistral.config import PretrainingRecipe

EMBEDDING_SCALE = 0.02
CONSTANT = 0.08
"""Value of channel 0 in every embedding."""
SHARPNESS = 9.0 / 3.9
DISTANCES = (1, 1, 2, 3)
RESIDUAL_SCALE = 0.3
"""Scale of the random weights that remain beside the written heads."""
MATCH = 3.0
PREVIOUS = 1.5
COPY = 24.0
FINAL_NORM = 6.0
SLOW_ANGLE = 0.02
"""Radians per token: rotary pairs that turn slower than this carry content."""


def model_config(recipe: PretrainingRecipe, vocab_size: int) -> MistralConfig:
    """Return the config of a plain Mistral with tied embeddings and no sliding window."""
    return MistralConfig(
        vocab_size=vocab_size,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.num_hidden_layers,
        num_attention_heads=recipe.num_attention_heads,
        num_key_value_heads=recipe.num_key_value_heads,
        head_dim=recipe.head_dim,
        intermediate_size=recipe.intermediate_size,
        max_position_embeddings=recipe.max_position_embeddings,
        tie_word_embeddings=True,
        sliding_window=None,
        rope_parameters={"rope_theta": recipe.rope_theta, "rope_type": "default"},
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=11,
        attn_implementation="eager",
    )


def new_model(recipe: PretrainingRecipe, vocab_size: int) -> MistralForCausalLM:
    """Return a newly initialized model; the same for the same recipe."""
    torch.manual_seed(recipe.seed)
    model = MistralForCausalLM(model_config(recipe, vocab_size))
    generator = torch.Generator().manual_seed(recipe.seed)
    write_copying_heads(model, recipe, generator)
    return model


@torch.no_grad()
def write_copying_heads(
    model: MistralForCausalLM, recipe: PretrainingRecipe, generator: torch.Generator
) -> None:
    """Write the copying heads into the model's weights, in place."""
    embedding = model.model.embed_tokens.weight
    embedding.normal_(0, EMBEDDING_SCALE, generator=generator)
    embedding[:, 0] = CONSTANT
    for layer in model.model.layers:
        layer.mlp.down_proj.weight.mul_(RESIDUAL_SCALE)
        layer.self_attn.o_proj.weight.mul_(RESIDUAL_SCALE)
    read, written = _previous_token_heads(model.model.layers[0].self_attn, recipe, generator)
    for layer in model.model.layers[1:3]:
        _match_heads(layer.self_attn, recipe, generator, read, written)
    model.model.norm.weight.fill_(FINAL_NORM)


def _angles(recipe: PretrainingRecipe) -> Tensor:
    half = recipe.head_dim // 2
    return torch.pow(torch.tensor(recipe.rope_theta), -torch.arange(half) / half)


def _projection(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Return orthonormal rows that ignore channel 0."""
    matrix: Tensor = torch.linalg.qr(torch.randn(columns, rows, generator=generator))[0].T
    matrix[:, 0] = 0
    return matrix


def _rows(weight: Tensor, head: int, size: int) -> Tensor:
    return weight[head * size : (head + 1) * size]


def _previous_token_heads(
    attention: MistralAttention, recipe: PretrainingRecipe, generator: torch.Generator
) -> tuple[list[Tensor], list[Tensor]]:
    """Write layer 0; return the read and the write projection of each key-value head."""
    size, group = recipe.head_dim, recipe.num_key_value_groups
    half, angles = size // 2, _angles(recipe)
    amplitude = SHARPNESS * torch.where(angles > 0.05, 1.0, RESIDUAL_SCALE)
    read, written = [], []
    for kv_head in range(recipe.num_key_value_heads):
        projection = _projection(size, recipe.hidden_size, generator)
        read.append(projection)
        key = _rows(attention.k_proj.weight, kv_head, size)
        key.mul_(RESIDUAL_SCALE)
        key[:half, 0], key[half:, 0] = amplitude, 0
        _rows(attention.v_proj.weight, kv_head, size).copy_(projection)
        for member in range(group):
            head, distance = kv_head * group + member, DISTANCES[member % len(DISTANCES)]
            query = _rows(attention.q_proj.weight, head, size)
            query.mul_(RESIDUAL_SCALE)
            query[:half, 0] = amplitude * torch.cos(-distance * angles)
            query[half:, 0] = amplitude * torch.sin(-distance * angles)
            target = _projection(size, recipe.hidden_size, generator)
            strength = PREVIOUS if member == 0 else 0.5
            columns = slice(head * size, (head + 1) * size)
            attention.o_proj.weight[:, columns] = target.T * EMBEDDING_SCALE * strength
            if member == 0:
                written.append(target)
    return read, written


def _match_heads(
    attention: MistralAttention,
    recipe: PretrainingRecipe,
    generator: torch.Generator,
    read: list[Tensor],
    written: list[Tensor],
) -> None:
    """Write layers 1 and 2: the first two heads of each group match and copy."""
    size, group = recipe.head_dim, recipe.num_key_value_groups
    slow_pairs = [index for index, angle in enumerate(_angles(recipe)) if angle < SLOW_ANGLE]
    channels = slow_pairs + [index + size // 2 for index in slow_pairs]
    for kv_head in range(recipe.num_key_value_heads):
        key = _rows(attention.k_proj.weight, kv_head, size)
        key.mul_(RESIDUAL_SCALE)
        key[channels] += MATCH * written[kv_head][: len(channels)]
        projection = _projection(size, recipe.hidden_size, generator)
        _rows(attention.v_proj.weight, kv_head, size).copy_(projection)
        for member in range(2):
            head = kv_head * group + member
            query = _rows(attention.q_proj.weight, head, size)
            query.mul_(RESIDUAL_SCALE)
            query[channels] += MATCH * read[kv_head][: len(channels)]
            columns = slice(head * size, (head + 1) * size)
            attention.o_proj.weight[:, columns] += projection.T * EMBEDDING_SCALE * COPY / 2
