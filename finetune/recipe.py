"""Recipes: everything that decides a training run, frozen and validated, in YAML and out.

Fields have the names of TRL and PEFT. Which recipe suits a base is `finetune.presets`.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from playground.errors import InvalidSettings

Method = Literal["sft", "dpo", "kto"]
Schedule = Literal["cosine", "linear", "constant_with_warmup"]
Optimizer = Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit"]
RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "base": "base_model",
        "rank": "lora_r",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "targets": "target_modules",
        "rslora": "use_rslora",
        "lora_plus": "loraplus_lr_ratio",
        "neftune": "neftune_noise_alpha",
        "schedule": "lr_scheduler_type",
        "warmup": "warmup_ratio",
        "epochs": "num_train_epochs",
        "batch": "micro_batch_size",
        "accumulation": "gradient_accumulation_steps",
        "longest": "max_length",
        "checkpointing": "gradient_checkpointing",
        "offload": "activation_offloading",
        "gradient_norm": "max_grad_norm",
        "optimizer": "optim",
        "replay": "replay_fraction",
        "held_out": "eval_fraction",
        "eval_every": "eval_steps",
        "patience": "early_stopping_patience",
        "sample_every": "sample_steps",
        "save_every": "save_steps",
        "keep_checkpoints": "save_total_limit",
        "disk_budget": "disk_budget_gb",
        "tracker": "report_to",
    }
)
"""Fields by the names that they had before they got TRL's and PEFT's."""
UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("dora", "use_dora"), "DoRA's magnitudes cannot share a batch when it is served")
)
"""Fields that recipes had, and why nothing is trained with them any more."""
UNSERVED_MODULES = ("embed_tokens", "lm_head", "wte", "embed_out")
"""Modules whose adapters the engine does not serve: the token embeddings and the output head."""
NumberT = TypeVar("NumberT", int, float)
ChoiceT = TypeVar("ChoiceT")


def _number(default: NumberT, low: float, high: float, help: str) -> NumberT:
    field: NumberT = Field(default=default, ge=low, le=high, description=help)
    return field


def _choice(default: ChoiceT, help: str) -> ChoiceT:
    field: ChoiceT = Field(default=default, description=help)
    return field


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", strict=True))
class Recipe:
    """A whole recipe; `make` and `read_recipe` raise `InvalidSettings` naming a wrong field."""

    base_model: str = _choice("embedded", "Base model: a catalogue name, a folder or a hub id.")
    init_adapter: str = _choice(
        "", "Folder of an adapter that training starts from; empty: a new adapter."
    )
    method: Method = _choice(
        "sft",
        "Training method: sft (supervised fine-tuning), dpo (preferences, arXiv:2305.18290) or "
        "kto (answers labelled good or bad, arXiv:2402.01306).",
    )
    quantization: Literal["none", "int8", "nf4"] = _choice(
        "none", "Quantization of the base's linear layers."
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = _choice(
        "auto", "Number format of what is not quantized."
    )
    lora_r: int = _number(16, 1, 512, "LoRA rank.")
    lora_alpha: int = _number(32, 1, 1024, "LoRA alpha: the adapter is scaled by alpha / rank.")
    lora_dropout: float = _number(0.0, 0, 0.9, "Dropout on the adapter's inputs.")
    target_modules: str = _choice(
        "all-linear", "Modules to adapt: names with commas between them, or all-linear."
    )
    use_rslora: bool = _choice(
        False, "Rank-stabilized LoRA: scale by alpha / sqrt(rank) (arXiv:2312.03732)."
    )
    loraplus_lr_ratio: float = _number(
        1.0, 1, 64, "LoRA+: learning rate of B as a multiple of A's (arXiv:2402.12354)."
    )
    neftune_noise_alpha: float = _number(
        0.0, 0, 100, "NEFTune: noise on the embeddings; 0 turns it off (arXiv:2310.05914)."
    )
    learning_rate: float = _number(2e-4, 1e-7, 1.0, "Peak learning rate, after the warm-up.")
    lr_scheduler_type: Schedule = _choice("cosine", "Learning rate schedule.")
    warmup_ratio: float = _number(0.03, 0, 0.9, "Fraction of the steps used for warm-up.")
    num_train_epochs: float = _number(
        3.0, 0, 1000, "Number of epochs; 0 chooses it from the number of rows."
    )
    max_steps: int = _number(
        0, 0, 10_000_000, "Number of optimizer steps; 0 follows from the epochs."
    )
    micro_batch_size: int = _number(
        1, 1, 1024, "Sequences a micro batch: rows, or several rows packed into one."
    )
    gradient_accumulation_steps: int = _number(16, 1, 4096, "Micro batches an optimizer step.")
    max_length: int = _number(
        2048,
        16,
        131_072,
        "Maximum tokens of a row. Longer rows are reported and skipped, never truncated.",
    )
    packing: bool = _choice(
        True, "Pack several rows into one sequence of max_length tokens, attention kept apart."
    )
    gradient_checkpointing: bool = _choice(
        True, "Recompute activations in the backward pass instead of keeping them."
    )
    activation_offloading: bool = _choice(False, "Keep activations in the CPU's memory.")
    weight_decay: float = _number(0.0, 0, 1, "Weight decay of AdamW.")
    max_grad_norm: float = _number(1.0, 0, 1000, "Gradients are clipped to this norm.")
    optim: Optimizer = _choice("adamw_torch", "Optimizer: AdamW in 32 bits, in 8 bits, or paged.")
    beta: float = _number(
        0.1, 1e-3, 10, "Beta of DPO and KTO: the higher, the closer it stays to the base model."
    )
    desirable_weight: float = _number(1.0, 0.01, 100, "Weight of KTO's good answers.")
    undesirable_weight: float = _number(1.0, 0.01, 100, "Weight of KTO's bad answers.")
    replay_fraction: float = _number(
        0.0, 0, 0.9, "Fraction of general rows mixed in to prevent forgetting."
    )
    eval_fraction: float = _number(
        0.0,
        0,
        0.9,
        "Fraction of the rows held out for evaluation, chosen by hash; "
        "ignored if there is an evaluation file.",
    )
    eval_steps: int = _number(
        0, 0, 1_000_000, "Steps between evaluations; 0 evaluates only at the end."
    )
    early_stopping_patience: int = _number(
        0, 0, 1000, "Stop after this many evaluations without a better loss; 0 never stops early."
    )
    eval_tasks: str = _choice(
        "",
        "Public tasks of lm-eval that base and adapter are asked for the report card: names with "
        "commas between them.",
    )
    eval_limit: int = _number(0, 0, 1_000_000, "Rows of each public task; 0 asks all of them.")
    sample_steps: int = _number(0, 0, 1_000_000, "Steps between sample answers; 0 writes none.")
    save_steps: int = _number(50, 1, 1_000_000, "Steps between checkpoints.")
    save_total_limit: int = _number(
        3, 1, 1000, "Number of latest checkpoints to keep, besides the best one."
    )
    disk_budget_gb: float = _number(20.0, 0.001, 100_000, "Disk space for checkpoints, in GB.")
    report_to: Literal["none", "tensorboard", "trackio"] = _choice(
        "none", "Experiment tracker, besides metrics.jsonl."
    )
    seed: int = _number(
        0, 0, 2**32 - 1, "Random seed of the rows' order and of the adapter's initial weights."
    )

    @field_validator("target_modules")
    @classmethod
    def _served(cls, names: str) -> str:
        """Refuse what would be trained and then not served."""
        for name in target_names(names):
            if name.rsplit(".", 1)[-1] in UNSERVED_MODULES:
                problem = f"adapters of {name} cannot be served; leave it out"
                raise PydanticCustomError("unserved_module", "{problem}", {"problem": problem})
        return names


def target_names(targets: str) -> list[str]:
    """Return the names of a recipe's ``target_modules``."""
    return [name.strip() for name in targets.split(",") if name.strip()]


_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def make(values: Mapping[str, object]) -> Recipe:
    """Make a recipe of these fields. Raises `InvalidSettings` with the wrong field and why."""
    known = {field.name for field in dataclasses.fields(Recipe)}
    unknown = sorted(map(str, set(values) - known))
    for name in unknown:
        if name in UNSUPPORTED:
            raise InvalidSettings(f"recipe.{name}: {UNSUPPORTED[name]}")
        if name in RENAMED:
            raise InvalidSettings(f"recipe.{name} is now {RENAMED[name]}")
    if unknown:
        raise InvalidSettings(
            f"recipe.{unknown[0]}: no such field; known: {', '.join(sorted(known))}"
        )
    try:
        return Recipe(**cast(dict[str, Any], values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidSettings(
            f"recipe.{first['loc'][0]}: {first['input']!r}: {first['msg'].lower()}"
        ) from None


def make_recorded(values: Mapping[str, object]) -> Recipe:
    """Make the recipe that a run or an adapter's card recorded, perhaps by fields' former names."""
    unset = [name for name in UNSUPPORTED if values.get(name) is False]
    return make({RENAMED.get(name, name): values[name] for name in values if name not in unset})


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
    """LoRA for the model that ships with the playground, in a few minutes on a laptop."""
    return Recipe(
        base_model="embedded",
        lora_r=16,
        lora_alpha=16,
        learning_rate=2.2e-3,
        warmup_ratio=0.05,
        num_train_epochs=0.0,
        micro_batch_size=24,
        gradient_accumulation_steps=1,
        max_length=512,
        packing=False,
        gradient_checkpointing=False,
        replay_fraction=0.5,
        eval_steps=40,
        sample_steps=100,
    )


def smollm2_cpu() -> Recipe:
    """LoRA for SmolLM2, in some minutes on a laptop."""
    return Recipe(
        base_model="smollm2",
        lora_r=16,
        lora_alpha=32,
        learning_rate=1e-3,
        warmup_ratio=0.05,
        num_train_epochs=8.0,
        micro_batch_size=1,
        gradient_accumulation_steps=2,
        max_length=512,
        gradient_checkpointing=False,
        save_steps=25,
    )


def lora_default() -> Recipe:
    """LoRA for any base; `finetune.presets.recipe_for` scales it to the base's size."""
    return Recipe()


PRESETS: Mapping[str, Callable[[], Recipe]] = MappingProxyType(
    {
        "embedded_cpu": embedded_cpu,
        "smollm2_cpu": smollm2_cpu,
        "mistral_small_24b_qlora": mistral_small_24b_qlora,
        "mistral_small_24b_lora_bf16": mistral_small_24b_lora_bf16,
        "lora_default": lora_default,
    }
)


def read_recipe(name: str, changes: Mapping[str, object] | None = None) -> Recipe:
    """Read a preset or a YAML file, with changes; None leaves a field. Raises `InvalidSettings`."""
    if name in PRESETS:
        values: object = dataclasses.asdict(PRESETS[name]())
    elif Path(name).is_file():
        values = _read_yaml(Path(name))
    else:
        raise InvalidSettings(f"{name!r} is no preset ({', '.join(PRESETS)}) and no file")
    if not isinstance(values, dict):
        raise InvalidSettings(f"{name} does not hold a recipe's fields")
    return with_changes(make(values), changes or {})


def with_changes(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """Return the recipe with changes; None leaves a field. Raises `InvalidSettings`."""
    given = {key: value for key, value in changes.items() if value is not None}
    changed = make(dataclasses.asdict(recipe) | given)
    return changed if "micro_batch_size" in given else for_method(changed, changed.method)


def for_method(recipe: Recipe, method: Method) -> Recipe:
    """Return the recipe with this method; KTO compares the rows of a micro batch, so that it gets
    two of them and steps of as many rows as before."""
    changes: dict[str, Any] = {"method": method}
    if method == "kto" and recipe.micro_batch_size == 1:
        steps = max(1, recipe.gradient_accumulation_steps // 2)
        changes |= {"micro_batch_size": 2, "gradient_accumulation_steps": steps}
    return dataclasses.replace(recipe, **changes)


def read_recorded(path: Path) -> Recipe:
    """Read the recipe file that a run wrote, perhaps with fields' former names."""
    values = _read_yaml(path)
    if not isinstance(values, dict):
        raise InvalidSettings(f"{path} does not hold a recipe's fields")
    return make_recorded(values)


def _read_yaml(path: Path) -> object:
    try:
        values: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path} is not YAML: {error}") from None
    return values


def recipe_yaml(recipe: Recipe) -> str:
    """Write every field with its description as a comment."""
    fields = recipe_schema()["properties"]
    return "".join(
        f"{name}: {_yaml_scalar(value)}  # {fields[name]['description']}\n"
        for name, value in dataclasses.asdict(recipe).items()
    )


def _yaml_scalar(value: object) -> str:
    """JSON, and a dot in ``1e-05``, which YAML 1.1 takes for text."""
    text = json.dumps(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def recipe_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of a recipe, as published in ``recipe.schema.json``."""
    schema = _ADAPTER.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
