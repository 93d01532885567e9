"""Answers to a GPU that is out of memory: smaller micro batches, and more of them per step."""

from dataclasses import replace

from finetune.recipe import Recipe

OUT_OF_MEMORY_PHRASES = ("out of memory", "not enough memory", "can't allocate memory")
"""Messages of those of torch's allocators that raise a plain RuntimeError."""
MAX_HALVINGS = 2


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether a step failed for lack of memory."""
    import torch  # takes seconds; a step that fails has imported it already

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(p in message for p in OUT_OF_MEMORY_PHRASES)


def halved(recipe: Recipe) -> Recipe | None:
    """Return the same optimizer steps in half the memory; None for micro batches of one row."""
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
