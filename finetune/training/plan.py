"""Plans how much memory training takes, before anything is loaded.

    weights      as `playground.models.plan` counts them
    adapter      rank x (inputs + outputs) of every adapted module; fp32 weights and gradients, and
                 two moments of Adam in 32 bits (16 bytes) or in 8 bits with their scales (10.03)
    checkpoints  hidden x 2 bytes a layer and token: what gradient checkpointing keeps
    one layer    2 x (18 hidden + 7 intermediate) bytes a token: a live layer, forward and backward
                 (without checkpointing every layer keeps 2 x (14 hidden + 4 intermediate))
    head         fp32 logits and their gradients, in TRL's fused head at most 1 GiB at once
    quantized    the largest linear module twice in 16 bits while it is unpacked
    runtime      CUDA context and workspaces

T, the tokens of a micro batch, is micro_batch_size x max_length x sequences a row. The terms and
the two coefficients follow the sums of the 24B at r=16: 18.4 GiB at T = 2,048, 20.4 at 4,096, 24.4
at 8,192; Axolotl reports about 21 GB for Devstral-24B at r=32, T = 4,096, this sum gives 21.2. On a
GPU these are estimates.
"""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PretrainedConfig

from finetune.methods import method_of
from finetune.recipe import Recipe
from finetune.training.share import share_of
from playground.models.catalogue import find
from playground.models.config import choose_device, choose_dtype
from playground.models.conversion.convert import planned_config
from playground.models.download import fetch
from playground.models.plan import count_parameters, plan_for_config, shape_of
from playground.models.spec import ModelSpec

FP32_ADAM, EIGHT_BIT_ADAM = 16.0, 10.03
FP32_BYTES = 4
FUSED_HEAD = 2**30
MAX_TOKENS_TRIED = 131_072


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Bytes that training takes; ``tokens`` are those of a micro batch."""

    weights: int
    adapter: int
    tokens: int
    bytes_per_token: int
    head_bytes_per_token: int
    unpacked: int
    runtime: int
    adapter_parameters: int

    @property
    def activations(self) -> int:
        """Bytes of a micro batch's activations."""
        return self.tokens * self.bytes_per_token

    @property
    def head(self) -> int:
        """Bytes of the logits and their gradients."""
        return min(FUSED_HEAD, self.tokens * self.head_bytes_per_token)

    @property
    def total(self) -> int:
        """All bytes."""
        fixed = self.weights + self.adapter + self.unpacked + self.runtime
        return fixed + self.activations + self.head

    def fits(self, available: int) -> bool:
        """Whether training fits into ``available`` bytes."""
        return self.total <= available

    def largest_micro_batch(self, available: int) -> int:
        """Tokens of the largest micro batch that fits into ``available`` bytes; 0 if none does."""
        low, high = 0, MAX_TOKENS_TRIED * 8
        while low < high:
            middle = (low + high + 1) // 2
            if replace(self, tokens=middle).fits(available):
                low = middle
            else:
                high = middle - 1
        return low

    def rows(self) -> list[tuple[str, int]]:
        """Labels and bytes, for people; the total last."""
        return [
            ("base weights", self.weights),
            (f"adapter and optimizer ({self.adapter_parameters:,} parameters)", self.adapter),
            (f"activations, {self.tokens:,} tokens", self.activations),
            ("logits", self.head),
            ("unpacking quantized weights", self.unpacked),
            ("runtime", self.runtime),
            ("total", self.total),
        ]


def plan(recipe: Recipe, *, home: Path | None = None, processes: int = 1) -> TrainingPlan:
    """Plan what each of ``processes`` takes for a recipe.

    Raises what `fetch` and `planned_config` raise for an unknown base, and what `share_of` raises.
    """
    share = share_of(recipe, processes)
    part = dataclasses.replace(recipe, micro_batch_size=share.micro_batch_size)
    return plan_for(part, config_of(recipe, home), choose_device("auto"))


def gradient_bytes(plan: TrainingPlan) -> int:
    """Return the bytes of gradients that each process sends to the others at every step."""
    return plan.adapter_parameters * FP32_BYTES


def config_of(recipe: Recipe, home: Path | None = None) -> PretrainedConfig:
    """Return the base's config; the catalogue's models need no file on this disk."""
    entry = find(recipe.base_model)
    if entry and entry.config:
        return entry.config()
    return planned_config(fetch(ModelSpec(recipe.base_model), home))


def plan_for(recipe: Recipe, config: PretrainedConfig, device: torch.device) -> TrainingPlan:
    """Plan a recipe for a known config on a device."""
    spec = ModelSpec(
        recipe.base_model, precision=recipe.precision, quantization=recipe.quantization
    )
    serving = plan_for_config(spec, config, device, 0)
    element = choose_dtype(spec, count_parameters(config).total, device).itemsize
    hidden, layers = config.hidden_size, config.num_hidden_layers
    wide = getattr(config, "intermediate_size", None) or 4 * hidden
    if recipe.gradient_checkpointing:
        per_token = element * (layers * hidden + 18 * hidden + 7 * wide)
    else:
        per_token = element * layers * (14 * hidden + 4 * wide)
    trained, largest = _adapted(config, recipe)
    eight_bit = "8bit" in recipe.optim
    return TrainingPlan(
        weights=serving.weights,
        adapter=round(trained * (EIGHT_BIT_ADAM if eight_bit else FP32_ADAM)),
        tokens=recipe.micro_batch_size * recipe.max_length * method_of(recipe).sequences_per_row,
        bytes_per_token=per_token,
        head_bytes_per_token=8 * config.vocab_size,
        unpacked=0 if serving.quantization == "none" else 2 * largest * element,
        runtime=serving.runtime_bytes,
        adapter_parameters=trained,
    )


def _adapted(config: PretrainedConfig, recipe: Recipe) -> tuple[int, int]:
    """Parameters of the adapter, and of the largest adapted module of the base."""
    wanted = {name.strip() for name in recipe.target_modules.split(",")}
    modules = [
        each
        for each in shape_of(config).linears
        if recipe.target_modules == "all-linear" or each.name.rsplit(".", 1)[-1] in wanted
    ]
    trained = sum(recipe.lora_r * (each.inputs + each.outputs) for each in modules)
    return trained, max((each.weights for each in modules), default=0)
