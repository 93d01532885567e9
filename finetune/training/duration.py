"""Estimates before a run starts how long it will take here, within a factor of about two.

    seconds   = micro batches x (tokens x operations a token / rate + layers x overhead)
    operations  4 a parameter of the base (2 forward, 2 backward: the base takes no gradients of its
                own), 6 with gradient checkpointing, which runs the forward twice; 2 for a reference
    rate        measured now: a product of the base's largest shape, in its number format

Counting operations by parameters follows Kaplan et al. (arXiv:2001.08361, section 2.1). Once a run
is under way its log says how many seconds are left, from what its steps took.
"""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.methods import method_of
from finetune.recipe import Recipe
from playground.models.spec import ModelSpec

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

FORWARD, FORWARD_AND_BACKWARD, WITH_CHECKPOINTING = 2, 4, 6
USED_SHARE = 0.5
"""Of the product's rate; the rest goes into attention, norms, the head and the optimizer."""
OVERHEAD_S = 2e-3
"""A layer's launches and Python, forward and backward."""
MEASURED_TOKENS = 1024
ROUNDS = 3


def estimated_seconds(
    recipe: Recipe, steps: int, tokens_per_example: float, *, home: Path | None = None
) -> float:
    """Estimate a run of so many optimizer steps."""
    from finetune.training.plan import config_of  # these import torch
    from playground.models.config import choose_device, choose_dtype
    from playground.models.plan import count_parameters

    config = config_of(recipe, home)
    spec = ModelSpec(
        recipe.base_model, precision=recipe.precision, quantization=recipe.quantization
    )
    device = choose_device(spec.device)
    count = count_parameters(config)
    method = method_of(recipe)
    is_packed = method.uses_packing(recipe)
    row_tokens = recipe.max_length if is_packed else tokens_per_example
    tokens = recipe.micro_batch_size * row_tokens
    passes = WITH_CHECKPOINTING if recipe.gradient_checkpointing else FORWARD_AND_BACKWARD
    rate = _measured_rate(config, choose_dtype(spec, count.total, device), device) * USED_SHARE
    operations = passes * method.sequences_per_row + FORWARD * method.forwards_per_row
    micro_batch_s = (
        tokens * operations * count.linear / rate + config.num_hidden_layers * OVERHEAD_S
    )
    return float(steps * recipe.gradient_accumulation_steps * micro_batch_s)


def _measured_rate(
    config: "PretrainedConfig", dtype: "torch.dtype", device: "torch.device"
) -> float:
    """Measure the operations a second of one large product."""
    import torch

    hidden = int(config.hidden_size)
    wide = int(getattr(config, "intermediate_size", None) or 4 * hidden)
    rows = torch.randn(MEASURED_TOKENS, hidden, device=device).to(dtype)
    weight = torch.randn(wide, hidden, device=device).to(dtype)
    best = math.inf
    for _ in range(ROUNDS):
        began = time.perf_counter()
        product = torch.nn.functional.linear(rows, weight)
        product[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - began)
    return 2 * MEASURED_TOKENS * hidden * wide / best


def duration_text(seconds: float) -> str:
    """Format seconds for people: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
