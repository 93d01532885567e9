"""Starts training from an adapter's weights instead of new ones. Knows PEFT's layers; no store."""

from pathlib import Path

from peft.tuners.lora import LoraLayer
from torch import nn

from playground.errors import InvalidSettings
from playground.models.adapters import Base, check_fits, read_adapter

FIELD = "recipe.init_adapter"
PEFT_PREFIX = "base_model.model."


def start_from(model: nn.Module, folder: Path, base: Base) -> None:
    """Copy the weights of the adapter in ``folder`` into a PEFT model's own adapter.

    Raises `BrokenAdapter`, `WrongBase` if it was made for another base, and `InvalidSettings` if
    its rank or its modules are not those of the recipe.
    """
    adapter = read_adapter(folder)
    check_fits(adapter, base)
    layers = {
        name.removeprefix(PEFT_PREFIX): module
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }
    if layers.keys() != adapter.modules.keys():
        raise InvalidSettings(f"{FIELD}: {folder} adapts other modules than recipe.target_modules")
    for path, pair in adapter.modules.items():
        layer = layers[path]
        (name,) = layer.active_adapters
        down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
        if down.shape != pair.down.shape:
            problem = f"{folder} has rank {pair.rank}, recipe.lora_r is {down.shape[0]}"
            raise InvalidSettings(f"{FIELD}: {problem}")
        down.data.copy_(pair.down)
        up.data.copy_(pair.up / layer.scaling[name])
