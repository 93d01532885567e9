"""``adapter_card.json``: an adapter's base, recipe, data and metrics."""

import datetime
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from playground.files import write_atomic
from playground.models.adapters import CARD_FILE, TRAINED_PROMPTS_FILE
from playground.models.loaded import LoadedModel

PACKAGES = ("torch", "transformers", "peft", "trl", "mistral-common")


def write_card(
    folder: Path,
    *,
    name: str,
    loaded: LoadedModel,
    recipe: Mapping[str, object],
    data: Mapping[str, object],
    metrics: Mapping[str, object],
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
    write_atomic(folder / CARD_FILE, text)


def read_trained_prompts(folder: Path) -> frozenset[str]:
    """Return the keys of the prompts that an adapter was trained on; none if it does not say."""
    try:
        text = (folder / TRAINED_PROMPTS_FILE).read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    return frozenset(text.split())


def read_card(folder: Path) -> dict[str, object] | None:
    """Return the card, if the folder has one that can be read."""
    try:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None
