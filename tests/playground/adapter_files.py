"""PEFT adapters made for the tests."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from playground.models.loader import load
from playground.models.spec import ModelSpec


def random_adapter(folder: Path, seed: int, **options: Any) -> Path:
    """A PEFT adapter of the embedded model, random and strong enough to change its answers."""
    model = load(ModelSpec("embedded")).model
    torch.manual_seed(seed)
    config = {"target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options
    peft = get_peft_model(model, LoraConfig(**config))
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.15)
    peft.save_pretrained(folder)
    return folder
