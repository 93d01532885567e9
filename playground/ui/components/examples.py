"""Example prompts that show what the embedded model can do; its folder brings them along."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.models.catalogue import EMBEDDED_FOLDER

EMBEDDED = "embedded"
EXAMPLES = EMBEDDED_FOLDER / "examples.json"


@dataclass(frozen=True, slots=True)
class Example:
    """A first message to try, with the system prompt it wants."""

    title: str
    prompt: str
    system: str = ""


@dataclass(frozen=True, slots=True)
class FunctionExample:
    """A message to try in the Functions tab, with functions of the gallery."""

    title: str
    prompt: str
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JsonExample:
    """A text to try in the JSON tab, with its schema."""

    title: str
    text: str
    schema: dict[str, Any]


def read_examples(path: Path = EXAMPLES) -> tuple[Example, ...]:
    """The chat examples of the file; none where there is no such file."""
    return tuple(
        Example(entry["title"], entry["prompt"], entry.get("system") or "")
        for entry in _entries(path, "chat")
    )


def function_examples(path: Path = EXAMPLES) -> tuple[FunctionExample, ...]:
    """Those of the Functions tab."""
    return tuple(
        FunctionExample(entry["title"], entry["prompt"], tuple(entry["tools"]))
        for entry in _entries(path, "functions")
    )


def json_examples(path: Path = EXAMPLES) -> tuple[JsonExample, ...]:
    """Those of the JSON tab."""
    return tuple(
        JsonExample(entry["title"], entry["text"], entry["schema"])
        for entry in _entries(path, "json")
    )


def _entries(path: Path, tab: str) -> list[dict[str, Any]]:
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")).get(tab, [])
    except FileNotFoundError:
        return []
    return entries


def examples_for(model: str, examples: tuple[Example, ...]) -> tuple[Example, ...]:
    """Examples are written for the embedded model and offered for no other."""
    return examples if model == EMBEDDED else ()
