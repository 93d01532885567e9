"""LoRA adapters on disk, in PEFT's format: reading, checking, and a hash of their content.

Safetensors only. Knows no engine: an adapter is matrices by module path.
The format is that of peft ``utils/save_and_load.py`` and ``tuners/lora/config.py`` (0.21).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from playground.errors import BrokenAdapter, WrongBase
from playground.models.loaded import LoadedModel
from playground.protocol.json_types import Json, JsonObject, object_at, parse_json

CONFIG_FILE = "adapter_config.json"
CARD_FILE = "adapter_card.json"
WEIGHTS_FILE = "adapter_model.safetensors"
PICKLE_FILES = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")
KEY = re.compile(r"(?:base_model\.model\.)?(?P<path>.+)\.lora_(?P<which>[AB])(?:\.\w+)?\.weight")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class LoraPair:
    """The two matrices of a module in fp32: ``down`` ``[rank, in]`` and ``up`` ``[out, rank]``.

    ``up`` includes the scale: ``up @ down @ x`` is added to the module's output.
    """

    down: Tensor
    up: Tensor

    @property
    def rank(self) -> int:
        """The LoRA rank."""
        return self.down.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """An adapter as read from a folder.

    ``modules`` maps paths of the base's linear modules to their matrices. ``content_hash`` covers
    configuration and weights, so that it identifies a version. ``card`` is empty if the folder has
    none.
    """

    name: str
    folder: Path
    content_hash: str
    modules: Mapping[str, LoraPair]
    config: Mapping[str, Json]
    card: Mapping[str, Json]

    @property
    def rank(self) -> int:
        """The largest rank of any module."""
        return max(pair.rank for pair in self.modules.values())


def name_problem(name: str) -> str | None:
    """Return why a name cannot be an adapter's; None if it can."""
    if NAME.fullmatch(name):
        return None
    return f"{name!r} is no adapter name: 1 to 64 letters, digits, '.', '_' and '-'"


def read_adapter(folder: Path, name: str | None = None) -> Adapter:
    """Read the adapter in ``folder``, named after the folder unless a name is given.

    Raises `BrokenAdapter` for a missing or damaged file, for pickled weights, and for anything but
    plain LoRA: DoRA, trained biases, ``modules_to_save``, or another PEFT method.
    """
    name = name or folder.name
    if problem := name_problem(name):
        raise BrokenAdapter(problem)
    config_bytes, weights_bytes = _files(folder)
    try:
        config = parse_json(config_bytes)
        tensors = load(weights_bytes)
    except (ValueError, SafetensorError) as error:
        raise BrokenAdapter(f"{folder} holds a damaged file: {error}") from error
    config = _lora_config(folder, config)
    digest = hashlib.sha256(config_bytes)
    digest.update(weights_bytes)
    modules = _pairs(folder, config, tensors)
    return Adapter(name, folder, digest.hexdigest()[:16], modules, config, _card(folder))


def check_fits(adapter: Adapter, loaded: LoadedModel) -> None:
    """Raise `WrongBase` unless the adapter was made for this base model.

    Checked are the hashes in its card (weights, chat template), and that the model has each of its
    modules in the same shape.
    """
    hashes = (("base_hash", loaded.weights_hash), ("template_hash", loaded.template_hash))
    for key, expected in hashes:
        if adapter.card.get(key, expected) != expected:
            raise WrongBase(
                f"adapter {adapter.name} was trained on {adapter.card.get('base')} with another "
                f"{key}: {adapter.card[key]}, here {expected}"
            )
    model = loaded.model
    for path, pair in adapter.modules.items():
        try:
            module = model.get_submodule(path)
        except AttributeError:
            module = None
        inputs, outputs = pair.down.shape[1], pair.up.shape[0]
        shape = (getattr(module, "in_features", None), getattr(module, "out_features", None))
        if shape != (inputs, outputs):
            there = f"is {shape[0]} to {shape[1]}" if shape[0] else "does not exist"
            made_for = adapter.config.get("base_model_name_or_path") or "another base model"
            raise WrongBase(
                f"adapter {adapter.name} was made for {made_for}: its {path} is {inputs} to "
                f"{outputs}, which here {there}"
            )


def _files(folder: Path) -> tuple[bytes, bytes]:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            pickled = next((file for file in PICKLE_FILES if (folder / file).is_file()), None)
            if name == WEIGHTS_FILE and pickled:
                raise BrokenAdapter(
                    f"{folder} has pickled weights ({pickled}), which can run code when they are "
                    "read; save the adapter with safetensors"
                )
            raise BrokenAdapter(f"{folder} has no {name}")
    return (folder / CONFIG_FILE).read_bytes(), (folder / WEIGHTS_FILE).read_bytes()


def _card(folder: Path) -> JsonObject:
    path = folder / CARD_FILE
    if not path.is_file():
        return {}
    try:
        card = parse_json(path.read_bytes())
    except ValueError as error:
        raise BrokenAdapter(f"{path} is not JSON: {error}") from error
    return card if isinstance(card, dict) else {}


def _lora_config(folder: Path, config: Json) -> JsonObject:
    """Return the config if it is that of plain LoRA; raise `BrokenAdapter` otherwise."""
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        method = config.get("peft_type") if isinstance(config, dict) else None
        raise BrokenAdapter(f"{folder} is not a LoRA adapter (peft_type {method!r})")
    if config.get("use_dora"):
        raise BrokenAdapter(
            f"{folder} is a DoRA adapter, whose magnitudes cannot share a batch; merge it into its "
            "base model and serve that"
        )
    if config.get("bias", "none") != "none":
        raise BrokenAdapter(f"{folder} also trained biases, which cannot share a batch")
    if config.get("modules_to_save"):
        raise BrokenAdapter(f"{folder} also saved whole modules: {config['modules_to_save']}")
    return config


def _pairs(folder: Path, config: JsonObject, tensors: Mapping[str, Tensor]) -> dict[str, LoraPair]:
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = KEY.fullmatch(key)
        if not match or tensor.ndim != 2 or match["path"].endswith("lm_head"):
            raise BrokenAdapter(
                f"{folder} has a weight that is not a LoRA matrix of a decoder layer: {key}"
            )
        if not torch.isfinite(tensor).all():
            raise BrokenAdapter(f"{folder} has values that are not finite in {key}")
        halves.setdefault(match["path"], {})[match["which"]] = tensor.float()
    if not halves:
        raise BrokenAdapter(f"{folder} has no LoRA weights")
    pairs = {}
    for path, half in halves.items():
        if set(half) != {"A", "B"} or half["A"].shape[0] != half["B"].shape[1]:
            raise BrokenAdapter(f"{folder} has no matching pair of matrices for {path}")
        scale = _scale(config, path, rank=half["A"].shape[0])
        pairs[path] = LoraPair(half["A"].contiguous(), (half["B"] * scale).contiguous())
    return pairs


def _scale(config: JsonObject, path: str, rank: int) -> float:
    """Return alpha / rank, or alpha / sqrt(rank) for rank-stabilised LoRA (arXiv:2312.03732)."""
    alpha = _number(config.get("lora_alpha", rank))
    for pattern, value in object_at(config, "alpha_pattern").items():
        if re.fullmatch(rf"(.*\.)?({pattern})", path):
            alpha = _number(value)
            break
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _number(value: Json) -> float:
    if not isinstance(value, int | float):
        raise BrokenAdapter(f"{value!r} is not a number (lora_alpha)")
    return float(value)
