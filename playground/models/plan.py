"""The memory that serving a model takes, computed before anything is loaded.

    weights  = decoder linears x bits of their quantization + everything else in 16 or 32 bits
    KV cache = 2 x layers x kv_heads x head_dim x bytes, per token of context
    step     = logits in fp32 and hidden states of the largest step
    adapter  = rank x (inputs + outputs) of every linear, for each that is attached on a CPU

Parameters are counted on the meta device from the config alone. NF4 with double quantization
stores 4.127 bits per parameter (measured on a full-size layer of the 24B: 4 bits, an 8-bit scale
per block of 64, and an fp32 scale per 256 blocks; QLoRA, arXiv:2305.14314). int8 stores 8 bits and
an fp32 scale per row (LLM.int8(), arXiv:2208.07339). On a CPU with kernels for integers
(`int_linear`), "nf4" stores 4 bits and two bf16 numbers per group of 64, and int8 a bf16 scale.
Packed integers of GPTQ, AWQ and compressed-tensors keep their groups there, and become
bitsandbytes' everywhere else. These weights are mapped: of an embedding table that is not the
head's, too, only the rows that are used come into memory, so it is not counted.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import psutil
import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig

from playground.models.catalogue import find
from playground.models.config import (
    as_stored,
    choose_device,
    choose_dtype,
    integer_format,
    stored_fields,
    window_of,
)
from playground.models.conversion.convert import planned_config
from playground.models.download import fetch
from playground.models.int_linear import KERNEL_GROUPS, uses_int_weights
from playground.models.spec import ModelSpec
from playground.settings import Quantization

NF4_BITS = 4.127
INT4_BITS = 4.5
SCALE_AND_ZERO_BITS = 32
"""Of a group, two bf16 numbers."""
STEP_TOKENS = 512
SMALLEST_USEFUL_CONTEXT = 1024
ADAPTER_RANK = 16
ADAPTER_COPIES = 2
"""Of an adapter's matrices in the model's dtype, beside those in fp32 that are kept in main memory:
in the bank of all adapters, and as a step's products read them. Measured on layers of the 24B: 76
MB for 9.2 million parameters (docs/log.md)."""
GPU_RUNTIME_BYTES = 700 * 2**20
"""CUDA context and workspaces; none on a CPU."""


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Parameters in the decoder's linear layers, which quantization shrinks, and all others.

    ``table`` of the others are the embeddings', if the head has matrices of its own.
    """

    linear: int
    linear_rows: int
    linear_columns: int
    table: int
    other: int

    @property
    def total(self) -> int:
        """All parameters; tied ones count once."""
        return self.linear + self.other


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that serving takes. ``context_length`` is in tokens, over all sequences; ``stored_as``
    names the program whose quantized weights the folder has, if it has any. ``adapter_bytes`` are
    what each attached adapter of rank `ADAPTER_RANK` adds to the total on a CPU; on a GPU the first
    one allocates the room of all.
    """

    model: str
    quantization: Quantization
    parameters: int
    linear_bytes: int
    other_bytes: int
    kv_bytes_per_token: int
    context_length: int
    step_bytes: int
    runtime_bytes: int
    adapter_bytes: int
    stored_as: str = ""
    is_table_mapped: bool = False

    @property
    def weights(self) -> int:
        """Bytes of the weights."""
        return self.linear_bytes + self.other_bytes

    @property
    def kv_cache(self) -> int:
        """Bytes of keys and values for a full context."""
        return self.kv_bytes_per_token * self.context_length

    @cached_property
    def total(self) -> int:
        """All bytes."""
        return self.weights + self.kv_cache + self.step_bytes + self.runtime_bytes

    def largest_context(self, available: int) -> int:
        """Return the tokens of context that fit into ``available`` bytes; 0 if weights do not."""
        left = available - (self.total - self.kv_cache)
        if not self.kv_bytes_per_token:
            return self.context_length if left >= 0 else 0
        return max(0, left // self.kv_bytes_per_token)

    def rows(self) -> list[tuple[str, int]]:
        """Return the plan as (label, bytes), the total last."""
        held = f"{self.quantization}, stored as {self.stored_as}" if self.stored_as else None
        return [
            (f"decoder linears ({held or self.quantization})", self.linear_bytes),
            (
                "head, norms" if self.is_table_mapped else "embeddings, head, norms",
                self.other_bytes,
            ),
            (f"KV cache, {self.context_length:,} tokens", self.kv_cache),
            ("one step", self.step_bytes),
            ("runtime", self.runtime_bytes),
            ("total", self.total),
        ]


@dataclass(frozen=True, slots=True)
class LinearShape:
    """A linear module of a model, by its path."""

    name: str
    inputs: int
    outputs: int

    @property
    def weights(self) -> int:
        """Without a bias."""
        return self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The linear modules but the head, the number of all parameters, and how many of these are in
    an embedding table that is not the head's, too."""

    linears: tuple[LinearShape, ...]
    parameters: int
    table: int


@dataclass(frozen=True, slots=True)
class _Config:
    """A config that equals another with the same fields."""

    text: str
    config: PretrainedConfig = field(compare=False)


def shape_of(config: PretrainedConfig) -> ModelShape:
    """Build the model on the meta device, which allocates nothing. The last shapes are remembered:
    loading a model asks twice, and a form at each change, for 50 ms each time.
    """
    return _shape(_Config(f"{type(config)} {config.to_json_string(use_diff=False)}", config))


@lru_cache(maxsize=8)
def _shape(asked: _Config) -> ModelShape:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(asked.config)
    head = model.get_output_embeddings()
    linears = tuple(
        LinearShape(name, module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    )
    embeddings = model.get_input_embeddings().weight
    table = 0 if head is None or head.weight is embeddings else embeddings.numel()
    return ModelShape(linears, sum(each.numel() for each in model.parameters()), table)


def count_parameters(config: PretrainedConfig) -> ParameterCount:
    """Count parameters, without allocating them."""
    shape = shape_of(config)
    linear = sum(each.weights for each in shape.linears)
    return ParameterCount(
        linear=linear,
        linear_rows=sum(each.outputs for each in shape.linears),
        linear_columns=sum(each.inputs for each in shape.linears),
        table=shape.table,
        other=shape.parameters - linear,
    )


def plan(spec: ModelSpec, *, home: Path | None = None) -> MemoryPlan:
    """Plan for a catalogue name, a local folder or a hub id.

    Catalogue models need no download, and nothing is converted. Raises the errors of `fetch` and
    `planned_config`.
    """
    entry = find(spec.source)
    config = entry.config() if entry and entry.config else planned_config(fetch(spec, home))
    wanted = spec.context_length or (entry.context_length if entry else window_of(config))
    device = choose_device(spec.device)
    return plan_for_config(spec, config, device, min(wanted, window_of(config)))


def plan_for_config(
    spec: ModelSpec, config: PretrainedConfig, device: torch.device, context_length: int
) -> MemoryPlan:
    """Plan for a config on a device, and the quantization in which its weights are stored.

    Raises what `as_stored` raises.
    """
    spec = as_stored(spec, config)
    count = count_parameters(config)
    element = choose_dtype(spec, count.total, device).itemsize
    integers = uses_int_weights(spec.quantization, device)
    form = integer_format(spec.source, config)
    four_bits = NF4_BITS
    if integers:
        group = form.group_size if form and form.bits == 4 else 0
        four_bits = 4 + SCALE_AND_ZERO_BITS / group if group in KERNEL_GROUPS else INT4_BITS
    linear_bytes = {
        "none": count.linear * element,
        "int8": count.linear + (2 if integers else 4) * count.linear_rows,
        "nf4": round(count.linear * four_bits / 8),
    }[spec.quantization]
    return MemoryPlan(
        model=spec.source,
        quantization=spec.quantization,
        parameters=count.total,
        linear_bytes=linear_bytes,
        other_bytes=(count.other - (count.table if integers else 0)) * element,
        kv_bytes_per_token=kv_bytes_per_token(config, element),
        context_length=context_length,
        step_bytes=STEP_TOKENS * element * (8 * config.hidden_size + 3 * _intermediate_size(config))
        + 4 * 32 * config.vocab_size,
        runtime_bytes=GPU_RUNTIME_BYTES if device.type == "cuda" else 0,
        adapter_bytes=ADAPTER_RANK
        * (count.linear_rows + count.linear_columns)
        * (4 + ADAPTER_COPIES * element),
        is_table_mapped=integers and count.table > 0,
        stored_as=form.name if form else str(stored_fields(config).get("quant_method", "")),
    )


def kv_bytes_per_token(config: PretrainedConfig, element_bytes: int) -> int:
    """Return the bytes of keys and values per token over all layers; 0 without attention."""
    query_heads = getattr(config, "num_attention_heads", 0)
    kv_heads = getattr(config, "num_key_value_heads", None) or query_heads
    if not kv_heads:
        return 0
    head_dim = getattr(config, "head_dim", None) or (config.hidden_size // query_heads)
    return int(2 * config.num_hidden_layers * kv_heads * head_dim * element_bytes)


def available_bytes(device: torch.device) -> int:
    """Return the free memory of a device; on a CPU, what is available without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def suggest(spec: ModelSpec, config: PretrainedConfig, device: torch.device, available: int) -> str:
    """Return a sentence that names options with which the model would fit."""
    stored = as_stored(spec, config).quantization
    choices: tuple[Quantization, ...] = ("none", "int8", "nf4")
    for quantization in choices if not getattr(config, "quantization_config", None) else (stored,):
        other = replace(spec, quantization=quantization)
        context = plan_for_config(other, config, device, 0).largest_context(available)
        context = min(context, window_of(config)) // 256 * 256
        if context >= SMALLEST_USEFUL_CONTEXT:
            return f"--quantization {quantization} --context-length {context} would fit"
    return "it does not fit with any quantization; choose a smaller model"


def _intermediate_size(config: PretrainedConfig) -> int:
    return int(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
