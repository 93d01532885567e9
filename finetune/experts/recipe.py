"""Recipes: everything that decides a training run, frozen and checked, in YAML and out."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from playground.errors import InvalidSettings

Schedule = Literal["cosine", "linear", "constant_with_warmup"]


def _ranged(default: Any, low: float, high: float, help: str) -> Any:
    return field(default=default, metadata={"minimum": low, "maximum": high, "help": help})


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe. Raises `InvalidSettings` naming the field, its value and its range."""

    base: str = "embedded"
    quantization: Literal["none", "int8", "nf4"] = "none"
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    rank: int = _ranged(16, 1, 512, "columns of the adapter's matrices")
    alpha: int = _ranged(32, 1, 1024, "the adapter's output is scaled by alpha / rank")
    dropout: float = _ranged(0.0, 0.0, 0.9, "share of the adapter's inputs dropped in training")
    targets: str = "all-linear"
    rslora: bool = False
    learning_rate: float = _ranged(2e-4, 1e-7, 1.0, "the largest one, after the warm-up")
    schedule: Schedule = "cosine"
    warmup: float = _ranged(0.03, 0.0, 0.9, "share of the steps over which the rate rises")
    epochs: float = _ranged(3.0, 0.01, 1000.0, "times through the rows")
    max_steps: int = _ranged(0, 0, 10_000_000, "optimiser steps; 0 follows from the epochs")
    batch: int = _ranged(1, 1, 1024, "rows, or packed rows, a micro batch")
    accumulation: int = _ranged(16, 1, 4096, "micro batches an optimiser step")
    longest: int = _ranged(2048, 16, 131_072, "tokens of a row; a longer one is named, not cut")
    packing: bool = True
    checkpointing: bool = True
    weight_decay: float = _ranged(0.0, 0.0, 1.0, "AdamW's")
    gradient_norm: float = _ranged(1.0, 0.0, 1000.0, "gradients are clipped to this norm")
    optimizer: str = "adamw_torch"
    replay: float = _ranged(0.0, 0.0, 0.9, "share of general rows mixed in against forgetting")
    seed: int = _ranged(0, 0, 2**32 - 1, "of the order of rows, and of the adapter's start")

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if "minimum" not in each.metadata:
                continue
            low, high = each.metadata["minimum"], each.metadata["maximum"]
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise InvalidSettings(
                    f"recipe.{each.name}: {value!r} is not between {low} and {high}"
                )


def mistral_small_24b_qlora() -> Recipe:
    """QLoRA (arXiv:2305.14314) for the 24B on one card of 24 GB."""
    return Recipe(
        base="mistral-small", quantization="nf4", precision="bf16", optimizer="paged_adamw_8bit"
    )


def mistral_small_24b_lora_bf16() -> Recipe:
    """LoRA on the 24B in bf16, for 80 GB."""
    return Recipe(base="mistral-small", precision="bf16", batch=2, accumulation=8)


def embedded_cpu() -> Recipe:
    """The model that ships with the playground, in two to three minutes on a laptop."""
    return Recipe(
        base="embedded",
        rank=16,
        alpha=16,
        learning_rate=2.5e-3,
        warmup=0.05,
        epochs=13.0,
        batch=24,
        accumulation=1,
        longest=512,
        packing=False,
        checkpointing=False,
        replay=0.3,
    )


PRESETS = {
    "embedded_cpu": embedded_cpu,
    "mistral_small_24b_qlora": mistral_small_24b_qlora,
    "mistral_small_24b_lora_bf16": mistral_small_24b_lora_bf16,
}


def read_recipe(name: str, **changes: Any) -> Recipe:
    """A preset's name or a YAML file, with changes. Raises `InvalidSettings`."""
    if name in PRESETS:
        values = dataclasses.asdict(PRESETS[name]())
    elif Path(name).is_file():
        values = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    else:
        raise InvalidSettings(f"{name!r} is no preset ({', '.join(PRESETS)}) and no file")
    if not isinstance(values, dict):
        raise InvalidSettings(f"{name} does not hold a recipe's fields")
    values |= {key: value for key, value in changes.items() if value is not None}
    known = {each.name for each in dataclasses.fields(Recipe)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidSettings(
            f"recipe.{unknown[0]}: no such field; known: {', '.join(sorted(known))}"
        )
    return Recipe(**values)


def recipe_yaml(recipe: Recipe) -> str:
    """Every field, with what it means."""
    lines = []
    for each in dataclasses.fields(recipe):
        note = f"  # {each.metadata['help']}" if "help" in each.metadata else ""
        value = yaml.safe_dump(getattr(recipe, each.name)).splitlines()[0]
        lines.append(f"{each.name}: {value}{note}")
    return "\n".join(lines) + "\n"
