"""One control for each field of a recipe, made from the recipe's own schema.

Ranges, choices and explanations are the recipe's, so the page cannot promise what training refuses.
"""

import dataclasses
from typing import Any

import gradio as gr

from finetune.recipe import PRESETS, Recipe, make, recipe_schema
from playground.errors import InvalidSettings

GIVEN_BY_BASE = ("base_model", "quantization", "precision")
"""Fields that the resident base decides."""
FIRST = ("method", "num_train_epochs", "learning_rate", "lora_r", "eval_fraction")
WHOLE_STEPS = {"integer": 1}
CUSTOM = "as set below"


def recipe_controls(preset: str) -> dict[str, Any]:
    """Build the controls where this is called, set to a preset; by field."""
    values = dataclasses.asdict(PRESETS[preset]())
    schema = recipe_schema()["properties"]
    controls: dict[str, Any] = {}
    for name in FIRST:
        controls[name] = _control(name, schema[name], values[name])
    others = [name for name in values if name not in (*FIRST, *GIVEN_BY_BASE)]
    with gr.Accordion("Every field of the recipe", open=False, elem_id="ft-fields"):
        for name in others:
            controls[name] = _control(name, schema[name], values[name])
    return controls


def preset_values(preset: str) -> list[Any]:
    """What the controls show for a preset, in their order."""
    values = dataclasses.asdict(PRESETS[preset]())
    others = [name for name in values if name not in (*FIRST, *GIVEN_BY_BASE)]
    return [values[name] for name in (*FIRST, *others)]


def to_recipe(values: dict[str, Any]) -> Recipe:
    """What the controls say. Raises `InvalidSettings` naming the field."""
    schema = recipe_schema()["properties"]
    given = {}
    for name, value in values.items():
        if value is None or value == "":
            raise InvalidSettings(f"recipe.{name}: is empty")
        kind = schema[name].get("type")
        if kind == "integer" and float(value) == int(value):
            value = int(value)
        given[name] = float(value) if kind == "number" else value
    return make(given)


def _control(name: str, field: dict[str, Any], value: Any) -> Any:
    label, info = name.replace("_", " ").capitalize(), field["description"]
    common: dict[str, Any] = {"label": label, "info": info, "elem_id": f"ft-{name}"}
    if "enum" in field:
        return gr.Dropdown(field["enum"], value=value, **common)
    if field["type"] == "boolean":
        return gr.Checkbox(value, **common)
    if field["type"] == "string":
        return gr.Textbox(value, max_lines=1, **common)
    span = {"minimum": field["minimum"], "maximum": field["maximum"]}
    precision = 0 if field["type"] == "integer" else None
    return gr.Number(
        value, precision=precision, step=1 if precision == 0 else None, **span, **common
    )
