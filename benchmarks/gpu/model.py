"""A model of the 24B's shape, or a small one, with random weights made on the device itself."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, MistralConfig, PreTrainedModel

from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loaded import LoadedModel
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.published_configs import mistral_small_config
from playground.models.spec import ModelSpec
from playground.settings import Quantization

WEIGHT_STD = 0.02
SHAPES = ("24b", "small")


@dataclass(frozen=True, slots=True)
class Place:
    """Where models are made: the device, and a folder for their configs."""

    device: torch.device
    folder: Path


def config_of(shape: str, context_length: int) -> MistralConfig:
    """Return the 24B's config, or one of two narrow layers."""
    if shape == "24b":
        return mistral_small_config()
    return MistralConfig(
        vocab_size=MistralTokenizer(EMBEDDED_FOLDER).vocabulary_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=context_length,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
        sliding_window=None,
    )


def make_model(config: MistralConfig, quantization: Quantization, place: Place) -> LoadedModel:
    """Make the model layer by layer in bf16, its linears in NF4 if that is wanted.

    The tokenizer is the embedded model's; answers do not end, as they ignore its end token.
    """
    torch.manual_seed(0)
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config).bfloat16()
    for layer in model.model.layers:
        _fill(layer, place.device)
        if quantization == "nf4":
            _quantize(layer, place.device)
    _fill(model, place.device)
    model.requires_grad_(False)
    if quantization == "nf4":
        model.is_loaded_in_4bit = True
    folder = place.folder / f"{quantization}-model"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "tekken.json").write_bytes((EMBEDDED_FOLDER / "tekken.json").read_bytes())
    spec = ModelSpec(
        str(folder), precision="bf16", quantization=quantization, device=str(place.device)
    )
    return LoadedModel(
        name="random",
        spec=spec,
        folder=folder,
        model=model.eval(),
        tokenizer=MistralTokenizer(EMBEDDED_FOLDER),
        context_length=config.max_position_embeddings,
        weights_hash="random",
    )


def _fill(module: nn.Module, device: torch.device) -> None:
    """Give what is still on the meta device values: norms ones, buffers those of their config."""
    for child in module.modules():
        for name, parameter in child._parameters.items():
            if parameter is None or not parameter.is_meta:
                continue
            values = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            filled = values.fill_(1.0) if values.ndim == 1 else values.normal_(std=WEIGHT_STD)
            child._parameters[name] = nn.Parameter(filled, requires_grad=False)
        if any(buffer.is_meta for buffer in child._buffers.values() if buffer is not None):
            made = type(child)(child.config)  # the rotary embedding
            for name, buffer in made.named_buffers(recurse=False):
                child._buffers[name] = buffer.to(device)


def _quantize(layer: nn.Module, device: torch.device) -> None:
    from bitsandbytes.nn import Linear4bit, Params4bit  # takes seconds to import

    for name, linear in list(layer.named_modules()):
        if not isinstance(linear, nn.Linear):
            continue
        packed = Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=False,
            compute_dtype=torch.bfloat16,
            compress_statistics=True,
            quant_type="nf4",
            device="meta",
        )
        packed.weight = Params4bit(
            linear.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4"
        ).to(device)
        packed.support_avx512bf16_for_cpu = False
        parent, _, last = name.rpartition(".")
        setattr(layer.get_submodule(parent), last, packed)
