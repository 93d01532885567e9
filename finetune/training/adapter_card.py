"""``adapter_card.json``: what an adapter is, on which base it was trained, and from what."""

import datetime
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from playground.models.adapters import CARD_FILE
from playground.models.loaded import LoadedModel

PACKAGES = ("torch", "transformers", "peft", "trl", "mistral-common")


def write_card(
    folder: Path,
    *,
    name: str,
    loaded: LoadedModel,
    recipe: dict[str, Any],
    data: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    """Write the card of the adapter in ``folder``; the store adds version and content hash."""
    card = {
        "name": name,
        "base": loaded.spec.source,
        "base_hash": loaded.weights_hash,
        "quantization": loaded.spec.quantization,
        "template_hash": loaded.tokenizer.template_hash,
        "recipe": recipe,
        "data": data,
        "metrics": metrics,
        "packages": {package: version(package) for package in PACKAGES},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "license": "",
    }
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def read_card(folder: Path) -> dict[str, Any] | None:
    """The card, if the folder has one that can be read."""
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None
