"""What is done when a card's memory does not suffice: smaller micro batches, more of them."""

from dataclasses import replace

import torch

from finetune.recipe import Recipe

SAYS_SO = ("out of memory", "not enough memory", "can't allocate memory")
"""How allocators of torch that raise plain RuntimeErrors put it."""
MOST_HALVINGS = 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a step failed for want of memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error).lower() for each in SAYS_SO)


def halved(recipe: Recipe) -> Recipe | None:
    """The same optimiser steps in half the memory; None if a micro batch is one row already."""
    if recipe.micro_batch_size < 2:
        return None
    batch = 1 if recipe.micro_batch_size % 2 else recipe.micro_batch_size // 2
    return replace(
        recipe,
        micro_batch_size=batch,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps
        * recipe.micro_batch_size
        // batch,
    )
