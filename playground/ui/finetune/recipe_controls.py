"""One control for each field of a recipe, made from the recipe's own schema.

Ranges, choices and explanations are the recipe's, so the page cannot promise what training refuses.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import gradio as gr

from playground.errors import InvalidSettings
from playground.models.catalogue import find
from playground.protocol.json_types import JsonObject, object_at, text_at
from playground.studio.training import PRESETS, Recipe, make, recipe_schema

FieldValue = str | float | None
"""What a control holds."""
FieldValues = Mapping[str, FieldValue]
"""Values of the controls by the recipe's fields."""

DEFAULT_PRESET = "mistral_small_24b_qlora"
SET_BY_BASE = ("base_model", "quantization", "precision")
"""Fields that the loaded base model decides."""
NOT_ON_PAGE = (*SET_BY_BASE, "init_adapter")
"""The last one is a folder of the server's."""
FIRST = ("method", "num_train_epochs", "learning_rate", "lora_r", "eval_fraction")
"""Fields above the fold, in this order."""
LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "method": "Method",
        "num_train_epochs": "Epochs",
        "learning_rate": "Learning rate",
        "lora_r": "LoRA rank",
        "eval_fraction": "Evaluation split",
        "lora_alpha": "LoRA alpha",
        "lora_dropout": "LoRA dropout",
        "target_modules": "Target modules",
        "use_rslora": "Rank-stabilized LoRA",
        "loraplus_lr_ratio": "LoRA+ learning rate ratio",
        "neftune_noise_alpha": "NEFTune noise",
        "lr_scheduler_type": "Learning rate schedule",
        "warmup_ratio": "Warm-up",
        "max_steps": "Maximum steps",
        "micro_batch_size": "Micro batch size",
        "gradient_accumulation_steps": "Gradient accumulation",
        "max_length": "Maximum length",
        "max_grad_norm": "Gradient clipping",
        "optim": "Optimizer",
        "beta": "Beta of DPO and KTO",
        "desirable_weight": "KTO weight of good answers",
        "undesirable_weight": "KTO weight of bad answers",
        "replay_fraction": "Replay of general rows",
        "eval_steps": "Evaluation interval",
        "early_stopping_patience": "Early stopping",
        "eval_tasks": "Public tasks",
        "eval_limit": "Rows of each public task",
        "sample_steps": "Sampling interval",
        "save_steps": "Checkpoint interval",
        "save_total_limit": "Checkpoints kept",
        "disk_budget_gb": "Disk budget",
        "report_to": "Also log to",
    }
)
"""Where the field's own name would not read well."""


def preset_for(base: str) -> str:
    """Return the name of the preset that suits a base model, as the catalogue says."""
    entry = find(base)
    return entry.recipe if entry and entry.recipe else DEFAULT_PRESET


def recipe_controls(preset: str) -> dict[str, gr.Component]:
    """Build the controls in the current layout, set to a preset; by field."""
    values = preset_values(preset)
    schema = object_at(recipe_schema(), "properties")
    controls = {name: _control(name, object_at(schema, name), values[name]) for name in FIRST}
    with gr.Accordion("All recipe fields", open=False, elem_id="ft-fields"):
        for name in values:
            if name not in FIRST:
                controls[name] = _control(name, object_at(schema, name), values[name])
    return controls


def preset_values(preset: str) -> dict[str, FieldValue]:
    """Return what the controls show for a preset, by field."""
    values = dataclasses.asdict(PRESETS[preset]())
    return {name: value for name, value in values.items() if name not in NOT_ON_PAGE}


def to_recipe(values: FieldValues) -> Recipe:
    """Return what the controls say. Raises `InvalidSettings` naming the field."""
    schema = object_at(recipe_schema(), "properties")
    typed: dict[str, object] = {}
    for name, value in values.items():
        field = object_at(schema, name)
        if value is None or (value == "" and field.get("default") != ""):
            raise InvalidSettings(f"recipe.{name}: is empty")
        kind = field.get("type")
        if kind == "integer" and float(value) == int(value):
            typed[name] = int(value)
        else:
            typed[name] = float(value) if kind == "number" else value
    return make(typed)


def _control(name: str, field: JsonObject, value: FieldValue) -> gr.Component:
    text = text_at(field, "description")
    common = {
        "label": LABELS.get(name, name.replace("_", " ").capitalize()),
        "info": f"`{name}` · {text}",
        "elem_id": f"ft-{name}",
    }
    if "enum" in field:
        return gr.Dropdown(field["enum"], value=value, **common)
    if field["type"] == "boolean":
        return gr.Checkbox(value, **common)
    if field["type"] == "string":
        return gr.Textbox(value, max_lines=1, **common)
    whole = field["type"] == "integer"
    # No limits here: a value out of range would never reach the recipe, which says what is wrong.
    return gr.Number(
        value,
        precision=0 if whole else None,
        step=1 if whole else None,
        **common,
    )
