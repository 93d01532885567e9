"""Structured initialisation: the model can copy before it has seen a word.

Copying (argument values, names, extracted fields) is what a tiny model learns last. It needs two
kinds of heads in sequence, so they are put in place from the start of training:

1. Layer 0: previous-token heads. Every embedding carries the same constant in channel 0. Queries
   and keys read only that channel, so the score depends on the rotary angle alone; the query is
   turned by a fixed distance (1, 1, 2, 3), which makes a head look exactly that far back. It writes
   the token it sees into the residual stream under a projection of its own.
2. Layers 1 and 2: match heads. The query reads the current token, the key reads what layer 0 wrote
   ("the token before me was ..."): attention lands after the earlier occurrence of the current
   token, and the value writes that next token into the stream, where tied embeddings predict it.

Matching must not depend on position, so it uses only the rotary pairs that hardly turn; with theta
1e8 there are enough of them. Everything else is the usual small random start, scaled down.
"""

import torch
from torch import Tensor
from transformers import MistralConfig, MistralForCausalLM
from transformers.models.mistral.modeling_mistral import MistralAttention

from recipes.tiny_mistral.config import Recipe

EMBEDDING_SCALE = 0.02
CONSTANT = 0.08
"""Value of channel 0 in every embedding."""
SHARPNESS = 9.0 / 3.9
DISTANCES = (1, 1, 2, 3)
QUIET = 0.3
"""Scale of the random weights that stay beside the structure."""
MATCH = 3.0
PREVIOUS = 1.5
COPY = 24.0
FINAL_NORM = 6.0
SLOW_ANGLE = 0.02
"""Radians a token: pairs slower than this carry content."""


def model_config(recipe: Recipe, vocabulary: int) -> MistralConfig:
    """A plain Mistral, tied embeddings, no sliding window."""
    return MistralConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        head_dim=recipe.hidden // recipe.heads,
        intermediate_size=recipe.feed_forward,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        sliding_window=None,
        rope_parameters={"rope_theta": recipe.rope_theta, "rope_type": "default"},
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=11,
        attn_implementation="eager",
    )


def new_model(recipe: Recipe, vocabulary: int) -> MistralForCausalLM:
    """A freshly initialised model; the same for the same recipe."""
    torch.manual_seed(recipe.seed)
    model = MistralForCausalLM(model_config(recipe, vocabulary))
    generator = torch.Generator().manual_seed(recipe.seed)
    structure(model, recipe, generator)
    return model


@torch.no_grad()
def structure(model: MistralForCausalLM, recipe: Recipe, generator: torch.Generator) -> None:
    """Write the copying heads into a model in place."""
    embedding = model.model.embed_tokens.weight
    embedding.normal_(0, EMBEDDING_SCALE, generator=generator)
    embedding[:, 0] = CONSTANT
    for layer in model.model.layers:
        layer.mlp.down_proj.weight.mul_(QUIET)
        layer.self_attn.o_proj.weight.mul_(QUIET)
    read, written = _previous_token_heads(model.model.layers[0].self_attn, recipe, generator)
    for layer in model.model.layers[1:3]:
        _match_heads(layer.self_attn, recipe, generator, read, written)
    model.model.norm.weight.fill_(FINAL_NORM)


def _angles(recipe: Recipe) -> Tensor:
    half = recipe.hidden // recipe.heads // 2
    return torch.pow(torch.tensor(recipe.rope_theta), -torch.arange(half) / half)


def _projection(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Orthonormal rows that do not see channel 0."""
    matrix: Tensor = torch.linalg.qr(torch.randn(columns, rows, generator=generator))[0].T
    matrix[:, 0] = 0
    return matrix


def _rows(weight: Tensor, head: int, size: int) -> Tensor:
    return weight[head * size : (head + 1) * size]


def _previous_token_heads(
    attention: MistralAttention, recipe: Recipe, generator: torch.Generator
) -> tuple[list[Tensor], list[Tensor]]:
    """Layer 0. For each key-value head: what it reads of a token, and where it writes it."""
    size, group = recipe.hidden // recipe.heads, recipe.heads // recipe.kv_heads
    half, angles = size // 2, _angles(recipe)
    amplitude = SHARPNESS * torch.where(angles > 0.05, 1.0, QUIET)
    read, written = [], []
    for kv_head in range(recipe.kv_heads):
        projection = _projection(size, recipe.hidden, generator)
        read.append(projection)
        key = _rows(attention.k_proj.weight, kv_head, size)
        key.mul_(QUIET)
        key[:half, 0], key[half:, 0] = amplitude, 0
        _rows(attention.v_proj.weight, kv_head, size).copy_(projection)
        for member in range(group):
            head, distance = kv_head * group + member, DISTANCES[member % len(DISTANCES)]
            query = _rows(attention.q_proj.weight, head, size)
            query.mul_(QUIET)
            query[:half, 0] = amplitude * torch.cos(-distance * angles)
            query[half:, 0] = amplitude * torch.sin(-distance * angles)
            target = _projection(size, recipe.hidden, generator)
            strength = PREVIOUS if member == 0 else 0.5
            columns = slice(head * size, (head + 1) * size)
            attention.o_proj.weight[:, columns] = target.T * EMBEDDING_SCALE * strength
            if member == 0:
                written.append(target)
    return read, written


def _match_heads(
    attention: MistralAttention,
    recipe: Recipe,
    generator: torch.Generator,
    read: list[Tensor],
    written: list[Tensor],
) -> None:
    """Layers 1 and 2: the first two heads of each group find and copy."""
    size, group = recipe.hidden // recipe.heads, recipe.heads // recipe.kv_heads
    slow = [at for at, angle in enumerate(_angles(recipe)) if angle < SLOW_ANGLE]
    places = slow + [at + size // 2 for at in slow]
    for kv_head in range(recipe.kv_heads):
        key = _rows(attention.k_proj.weight, kv_head, size)
        key.mul_(QUIET)
        key[places] += MATCH * written[kv_head][: len(places)]
        projection = _projection(size, recipe.hidden, generator)
        _rows(attention.v_proj.weight, kv_head, size).copy_(projection)
        for member in range(2):
            head = kv_head * group + member
            query = _rows(attention.q_proj.weight, head, size)
            query.mul_(QUIET)
            query[places] += MATCH * read[kv_head][: len(places)]
            columns = slice(head * size, (head + 1) * size)
            attention.o_proj.weight[:, columns] += projection.T * EMBEDDING_SCALE * COPY / 2
