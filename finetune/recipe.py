"""Recipes: everything that decides a training run, frozen and checked, in YAML and out."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from playground.errors import InvalidSettings

Schedule = Literal["cosine", "linear", "constant_with_warmup"]
Optimizer = Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit"]


def _number(default: Any, low: float, high: float, help: str) -> Any:
    return Field(default=default, ge=low, le=high, description=help)


def _choice(default: Any, help: str) -> Any:
    return Field(default=default, description=help)


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", strict=True))
class Recipe:
    """A whole recipe; `make` and `read_recipe` raise `InvalidSettings` naming what is wrong."""

    base_model: str = _choice("embedded", "catalogue name, folder or hub id of the base model")
    method: Literal["sft", "dpo"] = _choice(
        "sft", "supervised rows, or preferences (DPO, arXiv:2305.18290)"
    )
    quantization: Literal["none", "int8", "nf4"] = _choice("none", "of the base's linear modules")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = _choice("auto", "of what is not quantized")
    lora_r: int = _number(16, 1, 512, "columns of the adapter's matrices")
    lora_alpha: int = _number(32, 1, 1024, "the adapter's output is scaled by alpha / rank")
    lora_dropout: float = _number(0.0, 0, 0.9, "share of the adapter's inputs dropped in training")
    target_modules: str = _choice(
        "all-linear", "modules by name, commas between them, or all-linear"
    )
    use_rslora: bool = _choice(False, "scale by alpha / sqrt(rank) instead (arXiv:2312.03732)")
    use_dora: bool = _choice(
        False, "DoRA (arXiv:2402.09353): merged when served, and not exportable to GGUF"
    )
    loraplus_lr_ratio: float = _number(
        1.0, 1, 64, "learning rate of B as a multiple of A's (LoRA+, arXiv:2402.12354)"
    )
    neftune_noise_alpha: float = _number(
        0.0, 0, 100, "noise on embeddings (NEFTune, arXiv:2310.05914)"
    )
    learning_rate: float = _number(2e-4, 1e-7, 1.0, "the largest one, after the warm-up")
    lr_scheduler_type: Schedule = _choice("cosine", "how the learning rate falls")
    warmup_ratio: float = _number(0.03, 0, 0.9, "share of the steps over which the rate rises")
    num_train_epochs: float = _number(3.0, 0.01, 1000, "times through the rows")
    max_steps: int = _number(0, 0, 10_000_000, "optimiser steps; 0 follows from the epochs")
    micro_batch_size: int = _number(1, 1, 1024, "rows, or packed rows, a micro batch")
    gradient_accumulation_steps: int = _number(16, 1, 4096, "micro batches an optimiser step")
    max_length: int = _number(2048, 16, 131_072, "tokens of a row; a longer one is named, not cut")
    packing: bool = _choice(True, "several rows in one of `longest` tokens, kept apart")
    gradient_checkpointing: bool = _choice(
        True, "compute activations again instead of keeping them"
    )
    activation_offloading: bool = _choice(False, "keep activations in the main memory")
    weight_decay: float = _number(0.0, 0, 1, "AdamW's")
    max_grad_norm: float = _number(1.0, 0, 1000, "gradients are clipped to this norm")
    optim: Optimizer = _choice("adamw_torch", "AdamW in 32 bits, or in 8, or paged")
    beta: float = _number(0.1, 1e-3, 10, "DPO's: how far it may move from the base")
    replay_fraction: float = _number(
        0.0, 0, 0.9, "share of general rows mixed in against forgetting"
    )
    eval_fraction: float = _number(0.0, 0, 0.9, "share of the rows kept for evaluation, by hash")
    eval_steps: int = _number(0, 0, 1_000_000, "steps between evaluations; 0 only at the end")
    early_stopping_patience: int = _number(
        0, 0, 1000, "evaluations without a better loss after which it stops; 0 never"
    )
    sample_steps: int = _number(0, 0, 1_000_000, "steps between samples of answers; 0 never")
    save_steps: int = _number(50, 1, 1_000_000, "steps between checkpoints")
    save_total_limit: int = _number(3, 1, 1000, "the latest ones, and the best one")
    disk_budget_gb: float = _number(20.0, 0.001, 100_000, "GB that checkpoints may take")
    report_to: Literal["none", "tensorboard", "trackio"] = _choice(
        "none", "where the curves go besides metrics.jsonl"
    )
    seed: int = _number(0, 0, 2**32 - 1, "of the order of rows, and of the adapter's start")


_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def make(values: dict[str, Any]) -> Recipe:
    """A recipe of these fields. Raises `InvalidSettings` naming the field, its value and why."""
    known = {each.name for each in dataclasses.fields(Recipe)}
    unknown = sorted(map(str, set(values) - known))
    if unknown:
        raise InvalidSettings(
            f"recipe.{unknown[0]}: no such field; known: {', '.join(sorted(known))}"
        )
    try:
        return Recipe(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidSettings(
            f"recipe.{first['loc'][0]}: {first['input']!r}: {first['msg'].lower()}"
        ) from None


def mistral_small_24b_qlora() -> Recipe:
    """QLoRA (arXiv:2305.14314) for the 24B on one card of 24 GB."""
    return Recipe(
        base_model="mistral-small",
        quantization="nf4",
        precision="bf16",
        optim="paged_adamw_8bit",
        eval_fraction=0.05,
        eval_steps=50,
        sample_steps=50,
    )


def mistral_small_24b_lora_bf16() -> Recipe:
    """LoRA on the 24B in bf16, for 80 GB."""
    return Recipe(
        base_model="mistral-small",
        precision="bf16",
        micro_batch_size=2,
        gradient_accumulation_steps=8,
        eval_fraction=0.05,
        eval_steps=50,
        sample_steps=50,
    )


def embedded_cpu() -> Recipe:
    """The model that ships with the playground, in two to three minutes on a laptop."""
    return Recipe(
        base_model="embedded",
        lora_r=16,
        lora_alpha=16,
        learning_rate=2.2e-3,
        warmup_ratio=0.05,
        num_train_epochs=9.0,
        micro_batch_size=24,
        gradient_accumulation_steps=1,
        max_length=512,
        packing=False,
        gradient_checkpointing=False,
        replay_fraction=0.3,
        eval_steps=40,
        sample_steps=100,
    )


PRESETS = {
    "embedded_cpu": embedded_cpu,
    "mistral_small_24b_qlora": mistral_small_24b_qlora,
    "mistral_small_24b_lora_bf16": mistral_small_24b_lora_bf16,
}


def recipe_for(base: str, quantization: str = "none", precision: str = "auto") -> Recipe:
    """The preset that suits a base as it is loaded; its own rates for the embedded one."""
    preset = embedded_cpu() if base == "embedded" else mistral_small_24b_qlora()
    optimizer = "paged_adamw_8bit" if quantization == "nf4" else "adamw_torch"
    values = {"base_model": base, "quantization": quantization, "precision": precision}
    return make(dataclasses.asdict(preset) | values | {"optim": optimizer})


def read_recipe(name: str, **changes: Any) -> Recipe:
    """A preset's name or a YAML file, with changes. Raises `InvalidSettings`."""
    if name in PRESETS:
        values = dataclasses.asdict(PRESETS[name]())
    elif Path(name).is_file():
        try:
            values = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InvalidSettings(f"{name} is not YAML: {error}") from None
    else:
        raise InvalidSettings(f"{name!r} is no preset ({', '.join(PRESETS)}) and no file")
    if not isinstance(values, dict):
        raise InvalidSettings(f"{name} does not hold a recipe's fields")
    return make(values | {key: value for key, value in changes.items() if value is not None})


def recipe_yaml(recipe: Recipe) -> str:
    """Every field, with what it means."""
    notes = {name: each["description"] for name, each in recipe_schema()["properties"].items()}
    return "".join(
        f"{name}: {json.dumps(value)}  # {notes[name]}\n"
        for name, value in dataclasses.asdict(recipe).items()
    )


def recipe_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a recipe, as published in ``finetune/experts``."""
    schema = _ADAPTER.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
