"""A base model that is known without its weights being loaded: its modules, and its hashes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig

from playground.models.catalogue import find
from playground.models.config import read_config
from playground.models.download import find_on_disk
from playground.models.loader import load_tokenizer
from playground.models.spec import ModelSpec
from playground.models.weights import find_weights, weights_hash


@dataclass(frozen=True, slots=True)
class UnloadedBase:
    """What an adapter can be checked against. The hashes are empty if the files are not here."""

    model: nn.Module
    weights_hash: str = ""
    template_hash: str = ""


def find_base(source: str, home: Path) -> UnloadedBase | None:
    """Return a base by its catalogue name, folder or hub id; None if nothing is known of it here.

    Downloads nothing. Raises a `ModelLoadError` for a damaged folder.
    """
    entry = find(source)
    folder = find_on_disk(ModelSpec(source), home)
    if folder is not None:
        hashes = weights_hash(find_weights(folder)), load_tokenizer(folder).template_hash
        return UnloadedBase(_without_weights(read_config(folder)), *hashes)
    return UnloadedBase(_without_weights(entry.config())) if entry and entry.config else None


def _without_weights(config: PretrainedConfig) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = AutoModelForCausalLM.from_config(config)
    return model
