"""Weights files on disk: finding, checking and hashing them.

Reads safetensors headers only; knows no model class.
"""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from playground.errors import BrokenWeights, UnsupportedModel

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def find_weights(folder: Path) -> list[Path]:
    """Return the safetensors files of a model folder after checking that each is complete.

    Raises `BrokenWeights` naming the file that is missing or truncated, and `UnsupportedModel` if
    there are only pickles, which are never loaded.
    """
    index = folder / INDEX_FILE
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise BrokenWeights(f"{index} is not a weights index: {error}") from error
        files = [folder / name for name in names]
    elif (folder / SINGLE_FILE).exists():
        files = [folder / SINGLE_FILE]
    elif any(path for pattern in PICKLE_PATTERNS for path in folder.glob(pattern)):
        raise UnsupportedModel(
            f"{folder} has its weights as pickles only, which can run code when loaded; "
            "convert them to safetensors"
        )
    else:
        raise BrokenWeights(f"{folder} has no weights: neither {SINGLE_FILE} nor {INDEX_FILE}")
    for path in files:
        _check_complete(path)
    return files


def weights_hash(files: list[Path], sample_bytes: int = 1 << 20) -> str:
    """Hash stored weights without reading all of them: names, sizes, headers and samples.

    Of a large file the first and last MiB and sixteen samples of a MiB between them are hashed, so
    that the 47 GB of the 24B take a moment. Small files are hashed whole.
    """
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}\n".encode())
        with path.open("rb") as stored:
            if size <= 18 * sample_bytes:
                digest.update(stored.read())
                continue
            for sample in range(18):
                stored.seek((size - sample_bytes) * sample // 17)
                digest.update(stored.read(sample_bytes))
    return digest.hexdigest()[:16]


def _check_complete(path: Path) -> None:
    if not path.exists():
        raise BrokenWeights(f"{path} is missing, but listed in the index")
    try:
        with safe_open(path, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise BrokenWeights(
            f"{path} is truncated or damaged ({error}); delete it and download it again"
        ) from error
