"""LoRA adapters on disk, in PEFT's format: read, checked, and told apart by their content.

Safetensors only. Knows no engine: what it returns is matrices by module path.
Source of the format: peft ``utils/save_and_load.py`` and ``tuners/lora/config.py`` (0.21).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from playground.errors import BrokenAdapter, WrongBase
from playground.models.loaded import LoadedModel

CONFIG_FILE = "adapter_config.json"
CARD_FILE = "adapter_card.json"
WEIGHTS_FILE = "adapter_model.safetensors"
PICKLED = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")
KEY = re.compile(r"(?:base_model\.model\.)?(?P<path>.+)\.lora_(?P<which>[AB])(?:\.\w+)?\.weight")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class LoraPair:
    """One module's two matrices, in fp32: ``down`` ``[rank, in]``, ``up`` ``[out, rank]``.

    ``up`` is scaled already: the module's output gains ``up @ down @ x``.
    """

    down: Tensor
    up: Tensor

    @property
    def rank(self) -> int:
        """Columns of ``up``."""
        return self.down.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """An adapter as read: immutable, and another one as soon as a byte differs.

    ``modules`` maps paths of the base's linear modules to their pairs; ``content_hash`` covers
    configuration and weights; ``card`` is empty where the folder has none.
    """

    name: str
    folder: Path
    content_hash: str
    modules: Mapping[str, LoraPair]
    config: Mapping[str, Any]
    card: Mapping[str, Any]

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
    """The adapter in ``folder``, named after it unless a name is given.

    Raises `BrokenAdapter` for a missing or damaged file, for pickled weights, and for what is no
    plain LoRA: DoRA, trained biases, whole modules saved beside, or another method of PEFT.
    """
    name = name or folder.name
    if problem := name_problem(name):
        raise BrokenAdapter(problem)
    config_bytes, weights_bytes = _files(folder)
    try:
        config = json.loads(config_bytes)
        tensors = load(weights_bytes)
    except (ValueError, SafetensorError) as error:
        raise BrokenAdapter(f"{folder} holds a damaged file: {error}") from error
    _check_method(folder, config)
    digest = hashlib.sha256(config_bytes)
    digest.update(weights_bytes)
    modules = _pairs(folder, config, tensors)
    return Adapter(name, folder, digest.hexdigest()[:16], modules, config, _card(folder))


def check_fits(adapter: Adapter, loaded: LoadedModel) -> None:
    """Raises `WrongBase` for a card that names other weights or another rendering, and for the
    first module that the model lacks or that has another shape.
    """
    for key, own in (("base_hash", loaded.weights_hash), ("template_hash", loaded.template_hash)):
        if adapter.card.get(key, own) != own:
            raise WrongBase(
                f"adapter {adapter.name} was trained on {adapter.card.get('base')} with another "
                f"{key}: {adapter.card[key]}, here {own}"
            )
    model = loaded.model
    for path, pair in adapter.modules.items():
        try:
            module = model.get_submodule(path)
        except AttributeError:
            module = None
        inputs, outputs = pair.down.shape[1], pair.up.shape[0]
        has = (getattr(module, "in_features", None), getattr(module, "out_features", None))
        if has != (inputs, outputs):
            there = f"is {has[0]} to {has[1]}" if has[0] else "does not exist"
            made_for = adapter.config.get("base_model_name_or_path") or "another base model"
            raise WrongBase(
                f"adapter {adapter.name} was made for {made_for}: its {path} is {inputs} to "
                f"{outputs}, which here {there}"
            )


def _files(folder: Path) -> tuple[bytes, bytes]:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            pickled = next((each for each in PICKLED if (folder / each).is_file()), None)
            if name == WEIGHTS_FILE and pickled:
                raise BrokenAdapter(
                    f"{folder} has pickled weights ({pickled}), which can run code when they are "
                    "read; save the adapter with safetensors"
                )
            raise BrokenAdapter(f"{folder} has no {name}")
    return (folder / CONFIG_FILE).read_bytes(), (folder / WEIGHTS_FILE).read_bytes()


def _card(folder: Path) -> dict[str, Any]:
    path = folder / CARD_FILE
    if not path.is_file():
        return {}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenAdapter(f"{path} is no JSON: {error}") from error
    return card if isinstance(card, dict) else {}


def _check_method(folder: Path, config: Any) -> None:
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        method = config.get("peft_type") if isinstance(config, dict) else None
        raise BrokenAdapter(f"{folder} is no LoRA adapter (peft_type {method!r})")
    if config.get("use_dora"):
        raise BrokenAdapter(
            f"{folder} is a DoRA adapter, whose magnitudes cannot share a batch; merge it into its "
            "base model and serve that"
        )
    if config.get("bias", "none") != "none":
        raise BrokenAdapter(f"{folder} also trained biases, which cannot share a batch")
    if config.get("modules_to_save"):
        raise BrokenAdapter(f"{folder} also saved whole modules: {config['modules_to_save']}")


def _pairs(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> dict[str, LoraPair]:
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        found = KEY.fullmatch(key)
        if not found or tensor.ndim != 2 or found["path"].endswith("lm_head"):
            raise BrokenAdapter(
                f"{folder} has a weight that is no LoRA of a block's linear module: {key}"
            )
        if not torch.isfinite(tensor).all():
            raise BrokenAdapter(f"{folder} has values that are not finite in {key}")
        halves.setdefault(found["path"], {})[found["which"]] = tensor.float()
    if not halves:
        raise BrokenAdapter(f"{folder} has no LoRA weights")
    pairs = {}
    for path, half in halves.items():
        if set(half) != {"A", "B"} or half["A"].shape[0] != half["B"].shape[1]:
            raise BrokenAdapter(f"{folder} has no matching pair of matrices for {path}")
        scale = _scale(config, path, rank=half["A"].shape[0])
        pairs[path] = LoraPair(half["A"].contiguous(), (half["B"] * scale).contiguous())
    return pairs


def _scale(config: Mapping[str, Any], path: str, rank: int) -> float:
    """alpha / rank, or alpha / sqrt(rank) for rank-stabilised LoRA (arXiv:2312.03732)."""
    alpha = float(config.get("lora_alpha", rank))
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", path):
            alpha = float(value)
            break
    return float(alpha / (rank**0.5 if config.get("use_rslora") else rank))
