"""`as_model_folder`: the folder in safetensors of whatever form a model is stored in.

Made once, under ``home / "models"``, and named by the content of what it was made of.
"""

import errno
import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Protocol

from transformers import PretrainedConfig

from playground.errors import NoSpace, UnsupportedModel
from playground.files import atomic_folder, write_atomic
from playground.models.config import read_config
from playground.models.conversion.fp8 import Fp8Folder, is_fp8_folder
from playground.models.conversion.gguf_model import GgufFile
from playground.models.conversion.mistral_format import MistralFormat, is_mistral_format
from playground.models.weights import INDEX_FILE, SINGLE_FILE, weights_hash

logger = logging.getLogger(__name__)

ORIGIN_FILE = "origin.json"
CONVERSION = "1"
"""Changes when the same file is converted into other bytes than before."""
MARGIN_BYTES = 64 * 2**20
"""Room for tokenizer, config and headers, which are not counted."""
DEFAULT_TYPE = "Q4_K_M"
"""Taken of several GGUF files, as llama.cpp and Ollama do."""


class StoredModel(Protocol):
    """A model in another form. ``form`` names it, ``files`` are what it is read from."""

    form: str
    files: list[Path]

    def config(self) -> PretrainedConfig:
        """Return the config of the model that it becomes."""
        ...

    def nbytes(self) -> int:
        """Return the bytes of the converted weights."""
        ...

    def write(self, folder: Path) -> None:
        """Write config, tokenizer and weights into an existing folder."""
        ...


def as_model_folder(path: Path, home: Path) -> Path:
    """Return the folder to load: ``path`` itself, or what it was converted into.

    ``path`` is a folder or a GGUF file. Converts it if that was not done before, which takes 2
    bytes a parameter of the disk. Raises `NoSpace`, `BrokenWeights`, `UnsupportedModel`.
    """
    stored = read_stored(path)
    if stored is None:
        return path
    target = _target(path, stored, home)
    if not target.is_dir():
        _convert(path, stored, target)
    return target


def find_converted(path: Path, home: Path) -> Path | None:
    """Return what `as_model_folder` would, if it would convert nothing."""
    stored = read_stored(path)
    target = path if stored is None else _target(path, stored, home)
    return target if target.is_dir() else None


def planned_config(path: Path) -> PretrainedConfig:
    """Return the config of what `as_model_folder` would return, without converting anything."""
    stored = read_stored(path)
    return read_config(path) if stored is None else stored.config()


def read_stored(path: Path) -> StoredModel | None:
    """Return a model in another form than that which is loaded; None for a model folder.

    Raises `UnsupportedModel` for a folder with several GGUF files, naming them.
    """
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise UnsupportedModel(f"{path} is neither a folder nor a GGUF file")
        return GgufFile(path)
    if (path / INDEX_FILE).exists() or (path / SINGLE_FILE).exists():
        return Fp8Folder(path) if is_fp8_folder(path) else None
    if is_mistral_format(path):
        return MistralFormat(path)
    names = choose_gguf([file.name for file in path.glob("*.gguf")], str(path))
    return GgufFile(path / names) if names else None


def choose_gguf(names: list[str], where: str, wanted: str = "") -> str | None:
    """Return the GGUF file to take: the only one, the one of the type ``wanted``, or Q4_K_M.

    Projectors of vision towers do not count. None if there is none; raises `UnsupportedModel` with
    the names if it is not clear which one.
    """
    models = sorted(name for name in names if not name.lower().startswith("mmproj"))
    if not models and not wanted:
        return None
    if len(models) == 1 and not wanted:
        return models[0]
    kind = (wanted or DEFAULT_TYPE).lower()
    fitting = [
        name for name in models if kind in (name.lower(), name.lower().removesuffix(".gguf"))
        or name.lower().removesuffix(".gguf").endswith((f"-{kind}", f".{kind}", f"_{kind}"))
    ]  # fmt: skip
    if len(fitting) != 1:
        raise UnsupportedModel(
            f"{where} has {len(fitting) or 'no'} GGUF files of {kind.upper()}; name one of "
            f"{', '.join(models) or 'none'}"
        )
    return fitting[0]


def _target(path: Path, stored: StoredModel, home: Path) -> Path:
    digest = hashlib.sha256(f"{CONVERSION} {stored.form} ".encode())
    digest.update(weights_hash(stored.files).encode())
    return home / "models" / f"{path.resolve().stem}-{digest.hexdigest()[:12]}"


def _convert(path: Path, stored: StoredModel, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    needed, free = stored.nbytes() + MARGIN_BYTES, shutil.disk_usage(target.parent).free
    if needed > free:
        raise NoSpace(
            f"{path} is converted into {needed / 2**30:.1f} GiB of safetensors, and "
            f"{free / 2**30:.1f} GiB are free on the disk of {target.parent}"
        )
    size = needed / 2**30
    logger.warning("converting %s (%s) once, into %s: %.1f GiB", path, stored.form, target, size)
    try:
        with atomic_folder(target) as folder:
            stored.write(folder)
            origin = {"from": str(path.resolve()), "form": stored.form}
            write_atomic(folder / ORIGIN_FILE, json.dumps(origin, indent=2))
    except FileExistsError:
        logger.warning("another process has converted %s meanwhile", path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"the disk of {target.parent} is full; nothing is kept") from error
        raise
