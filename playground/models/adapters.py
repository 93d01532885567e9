"""LoRA adapters on disk, in PEFT's format: reading, checking, and a hash of their content.

Safetensors only. Knows no engine: an adapter is matrices by module path.
The format is that of peft ``utils/save_and_load.py`` (0.21); the config's fields are in
`playground.models.adapter_config`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from safetensors import SafetensorError

from playground.errors import BrokenAdapter, WrongBase
from playground.models.adapter_config import LoraSettings, read_settings
from playground.protocol.json_types import Json, JsonObject, parse_json, parse_object

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG_FILE = "adapter_config.json"
CARD_FILE = "adapter_card.json"
TRAINED_PROMPTS_FILE = "trained-prompts.txt"
"""Keys of the prompts that an adapter was trained on, one a line."""
WEIGHTS_FILE = "adapter_model.safetensors"
PICKLE_FILES = ("adapter_model.bin", "adapter_model.pt", "pytorch_model.bin")
KEY = re.compile(r"(?:base_model\.model\.)?(?P<path>.+)\.lora_(?P<which>[AB])(?:\.\w+)?\.weight")
MAX_NAME, MAX_SERVED_NAME = 64, 128
"""Characters of a name in the store; and of one that names a job and its step, or a version."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, eq=False)
class LoraPair:
    """The two matrices of a module in fp32: ``down`` ``[rank, in]`` and ``up`` ``[out, rank]``.

    ``up`` includes the scale: ``up @ down @ x`` is added to the module's output.
    """

    down: "Tensor"
    up: "Tensor"

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


def name_problem(name: str, longest: int = MAX_NAME) -> str | None:
    """Return why a name cannot be an adapter's; None if it can."""
    if NAME.fullmatch(name) and len(name) <= longest:
        return None
    return f"{name!r} is no adapter name: 1 to {longest} letters, digits, '.', '_' and '-'"


def read_adapter(folder: Path, name: str | None = None) -> Adapter:
    """Read the adapter in ``folder``, named after the folder unless a name is given.

    Raises `BrokenAdapter` for a missing or damaged file, for pickled weights, and for a field of
    the config that is not understood (`playground.models.adapter_config`).
    """
    from safetensors.torch import load  # imports torch; names and rules here are wanted without

    name = name or folder.name
    if problem := name_problem(name, MAX_SERVED_NAME):
        raise BrokenAdapter(problem)
    config_bytes, weights_bytes = _files(folder)
    try:
        config = parse_object(config_bytes)
        tensors = load(weights_bytes)
    except (ValueError, RecursionError, SafetensorError) as error:
        raise BrokenAdapter(f"{folder} holds a damaged file: {error}") from error
    settings = _settings(folder, config)
    digest = hashlib.sha256(config_bytes)
    digest.update(weights_bytes)
    del weights_bytes  # the tensors are copies
    modules = _pairs(folder, settings, tensors)
    return Adapter(name, folder, digest.hexdigest()[:16], modules, config, _card(folder))


class Base(Protocol):
    """What an adapter is checked against: a `LoadedModel`, or a base that is not loaded."""

    @property
    def model(self) -> "nn.Module":
        """The modules, which need no weights."""
        ...

    @property
    def weights_hash(self) -> str:
        """Hash of the weights as stored; empty if they are not known."""
        ...

    @property
    def template_hash(self) -> str:
        """Hash of the chat template; empty if it is not known."""
        ...


def check_fits(adapter: Adapter, base: Base) -> None:
    """Raise `WrongBase` unless the adapter was made for this base model.

    Checked are the hashes in its card (weights, chat template), and that the model has each of its
    modules in the same shape.
    """
    hashes = (("base_hash", base.weights_hash), ("template_hash", base.template_hash))
    for key, expected in hashes:
        if expected and adapter.card.get(key, expected) != expected:
            raise WrongBase(
                f"adapter {adapter.name} was trained on {adapter.card.get('base')} with another "
                f"{key}: {adapter.card[key]}, here {expected}"
            )
    check_modules(adapter, base.model)


def check_modules(adapter: Adapter, model: "nn.Module") -> None:
    """Raise `WrongBase` unless the model has each of the adapter's modules in the same shape."""
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
    except (ValueError, RecursionError) as error:
        raise BrokenAdapter(f"{path} is not JSON: {error}") from error
    return card if isinstance(card, dict) else {}


def _settings(folder: Path, config: JsonObject) -> LoraSettings:
    try:
        return read_settings(config)
    except BrokenAdapter as error:
        raise BrokenAdapter(f"{folder}: {error.message}") from None


def _pairs(
    folder: Path, settings: LoraSettings, tensors: "Mapping[str, Tensor]"
) -> dict[str, LoraPair]:
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = KEY.fullmatch(key)
        if not match or tensor.ndim != 2 or match["path"].endswith("lm_head"):
            raise BrokenAdapter(
                f"{folder} has a weight that is not a LoRA matrix of a decoder layer: {key}"
            )
        if not tensor.isfinite().all():
            raise BrokenAdapter(f"{folder} has values that are not finite in {key}")
        halves.setdefault(match["path"], {})[match["which"]] = tensor.float()
    if not halves:
        raise BrokenAdapter(f"{folder} has no LoRA weights")
    pairs = {}
    for path, half in halves.items():
        if set(half) != {"A", "B"} or half["A"].shape[0] != half["B"].shape[1]:
            raise BrokenAdapter(f"{folder} has no matching pair of matrices for {path}")
        rank, said = half["A"].shape[0], settings.rank_of(path)
        if rank != said:
            raise BrokenAdapter(
                f"{folder}: the matrices of {path} have rank {rank}, and {CONFIG_FILE} says {said}"
            )
        scale = settings.scale_of(path)
        pairs[path] = LoraPair(half["A"].contiguous(), (half["B"] * scale).contiguous())
    return pairs
