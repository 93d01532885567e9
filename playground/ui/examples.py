"""Example prompts that show what the embedded model can do; its folder brings them along."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.models.catalogue import EMBEDDED_FOLDER

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Example:
    """A first message to try, with the system prompt it wants."""

    title: str
    prompt: str
    system: str = ""


def read_examples(path: Path = EMBEDDED_FOLDER / "examples.json") -> tuple[Example, ...]:
    """The chat examples of the file; none where there is no such file."""
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["chat"]
    except FileNotFoundError:
        return ()
    return tuple(
        Example(entry["title"], entry["prompt"], entry.get("system", "")) for entry in entries
    )


def examples_for(model: str, examples: tuple[Example, ...]) -> tuple[Example, ...]:
    """Examples are written for the embedded model and offered for no other."""
    return examples if model == EMBEDDED else ()
