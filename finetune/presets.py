"""The recipe that suits a base model: its catalogue entry's own, or LoRA scaled to its size.

Reading a base's config imports transformers, so only `scaled` does so.
"""

import dataclasses
from pathlib import Path

from finetune.recipe import PRESETS, Recipe, lora_default, make
from playground.models.catalogue import CatalogueEntry, find
from playground.models.spec import ModelSpec

BILLION = 10**9
LARGE = 2 * BILLION
"""Parameters from which activations are recomputed and a micro batch is one sequence."""
SEQUENCES_A_STEP = 16
SMALL_LEARNING_RATE = 5e-4


def recipe_for(
    base: str, quantization: str = "none", precision: str = "auto", home: Path | None = None
) -> Recipe:
    """Return the recipe that suits a base as it is loaded.

    Raises what `locate` and `read_config` raise for a base that is neither in the catalogue nor on
    this disk.
    """
    entry = find(base)
    recipe = PRESETS[entry.recipe]() if entry and entry.recipe else scaled(base, entry, home)
    optim = "paged_adamw_8bit" if quantization == "nf4" else "adamw_torch"
    changes = {"base_model": base, "quantization": quantization, "precision": precision}
    return make(dataclasses.asdict(recipe) | changes | {"optim": optim})


def scaled(base: str, entry: CatalogueEntry | None, home: Path | None = None) -> Recipe:
    """Scale `lora_default` to a base: rows no longer than its context, larger micro batches and a
    higher learning rate for a small one, and activations recomputed for a large one."""
    from playground.models.conversion.convert import planned_config
    from playground.models.download import fetch
    from playground.models.plan import count_parameters

    if entry and entry.config:
        config = entry.config()
    else:
        config = planned_config(fetch(ModelSpec(base), home))
    recipe = lora_default()
    context_length = int(getattr(config, "max_position_embeddings", None) or recipe.max_length)
    parameters = count_parameters(config).total
    micro_batch_size = 1 if parameters >= LARGE else 4
    return dataclasses.replace(
        recipe,
        max_length=min(recipe.max_length, context_length),
        micro_batch_size=micro_batch_size,
        gradient_accumulation_steps=SEQUENCES_A_STEP // micro_batch_size,
        gradient_checkpointing=parameters >= LARGE,
        learning_rate=recipe.learning_rate if parameters >= BILLION else SMALL_LEARNING_RATE,
    )
