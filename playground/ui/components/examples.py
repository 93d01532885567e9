"""Example prompts. The catalogue says which model has some; they lie beside its weights."""

from dataclasses import dataclass
from pathlib import Path

from playground.models.catalogue import find
from playground.protocol.json_types import (
    JsonObject,
    list_at,
    object_at,
    objects_at,
    parse_object,
    text_at,
)

ANY_MODEL = Path(__file__).parents[1] / "assets" / "examples.json"


@dataclass(frozen=True, slots=True)
class Example:
    """A first message to try, with the system prompt it needs."""

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
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one model, by tab."""

    chat: tuple[Example, ...] = ()
    functions: tuple[FunctionExample, ...] = ()
    json: tuple[JsonExample, ...] = ()


def examples_for(model: str) -> Examples:
    """Return the examples that were written for this model, or those that suit any other."""
    entry = find(model)
    return read_examples(entry.examples if entry and entry.examples else ANY_MODEL)


def read_examples(path: Path) -> Examples:
    """Return the examples of a file; none where there is no such file."""
    try:
        body = parse_object(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Examples()
    return Examples(
        chat=tuple(
            Example(text_at(item, "title"), text_at(item, "prompt"), text_at(item, "system"))
            for item in objects_at(body, "chat")
        ),
        functions=tuple(
            FunctionExample(
                text_at(item, "title"),
                text_at(item, "prompt"),
                tuple(map(str, list_at(item, "tools"))),
            )
            for item in objects_at(body, "functions")
        ),
        json=tuple(
            JsonExample(text_at(item, "title"), text_at(item, "text"), object_at(item, "schema"))
            for item in objects_at(body, "json")
        ),
    )
