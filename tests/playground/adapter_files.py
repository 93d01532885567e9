"""PEFT adapters made for the tests."""

import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from playground.models.loader import load
from playground.models.spec import ModelSpec


def random_adapter(folder: Path, seed: int, **options: Any) -> Path:
    """A PEFT adapter of the embedded model, random and strong enough to change its answers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _files(seed, json.dumps(options, sort_keys=True)).items():
        (folder / name).write_bytes(content)
    return folder


@cache
def _files(seed: int, options: str) -> Mapping[str, bytes]:
    """Its files by name; made once, since many tests ask for the same one."""
    model = load(ModelSpec("embedded")).model
    torch.manual_seed(seed)
    config = {"target_modules": "all-linear", "task_type": "CAUSAL_LM"} | json.loads(options)
    peft = get_peft_model(model, LoraConfig(**config))
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.15)
    with tempfile.TemporaryDirectory() as folder:
        peft.save_pretrained(folder)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}
