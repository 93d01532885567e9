"""Converts adapters of mistral-finetune to PEFT's format: names of weights and rotary order.

mistral-finetune (finetune/checkpointing.py, ``save_adapters``) writes ``lora.safetensors`` with
keys ``layers.0.attention.wq.lora_A.weight`` and, in ``params.json``, ``lora: {rank, scaling}``.
Mistral's own code rotates neighbouring pairs of a head's values where transformers rotates its two
halves, so the outputs of wq and wk are put in another order (transformers,
models/mistral/convert_mistral_weights_to_hf.py, ``permute_for_rope``).
"""

import json
import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PretrainedConfig

from playground.errors import BrokenAdapter
from playground.files import write_atomic
from playground.models.adapters import CONFIG_FILE, WEIGHTS_FILE

THEIR_WEIGHTS, THEIR_PARAMETERS = "lora.safetensors", "params.json"
KEY = re.compile(r"layers\.(\d+)\.(attention|feed_forward)\.(w\w)\.lora_([AB])\.weight")
MODULES = {
    "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj",
    "wv": "self_attn.v_proj",
    "wo": "self_attn.o_proj",
    "w1": "mlp.gate_proj",
    "w2": "mlp.down_proj",
    "w3": "mlp.up_proj",
}


def is_mistral_finetune(folder: Path) -> bool:
    """Whether the folder holds an adapter of mistral-finetune."""
    return (folder / THEIR_WEIGHTS).is_file() and not (folder / WEIGHTS_FILE).is_file()


def convert(source: Path, target: Path, config: PretrainedConfig) -> None:
    """Write the adapter in ``source`` to ``target`` in PEFT's format; ``config`` is the base's.

    Raises `BrokenAdapter` for files that cannot be read and keys that have no place.
    """
    try:
        theirs = load_file(source / THEIR_WEIGHTS)
        parameters = json.loads((source / THEIR_PARAMETERS).read_text(encoding="utf-8"))
        rank, scaling = int(parameters["lora"]["rank"]), float(parameters["lora"]["scaling"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BrokenAdapter(f"{source} is no adapter of mistral-finetune: {error}") from error
    ours: dict[str, Tensor] = {}
    for key, tensor in theirs.items():
        match = KEY.fullmatch(key)
        if not match or match[3] not in MODULES:
            raise BrokenAdapter(f"{source} has a weight that is no LoRA of a linear module: {key}")
        layer, _, module, matrix = match.groups()
        if matrix == "B" and module in ("wq", "wk"):
            heads = config.num_attention_heads if module == "wq" else config.num_key_value_heads
            tensor = half_rotary(tensor, heads)
        path = f"base_model.model.model.layers.{layer}.{MODULES[module]}"
        ours[f"{path}.lora_{matrix}.weight"] = tensor.contiguous()
    target.mkdir(parents=True, exist_ok=True)
    save_file(ours, target / WEIGHTS_FILE, metadata={"format": "pt"})
    body = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": rank,
        "lora_alpha": scaling * rank,
        "target_modules": sorted({path.split(".")[-3] for path in ours}),
        "bias": "none",
    }
    write_atomic(target / CONFIG_FILE, json.dumps(body, indent=1))


def half_rotary(weight: Tensor, heads: int) -> Tensor:
    """Reorder ``[outputs, inputs]`` within each head from neighbouring pairs to two halves."""
    outputs, inputs = weight.shape
    pairs = weight.view(heads, outputs // heads // 2, 2, inputs)
    return pairs.transpose(1, 2).reshape(outputs, inputs)
