"""Models that go by a short name here, with how they are best used."""

from dataclasses import dataclass
from pathlib import Path

from playground.protocol import Sampling

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """``source`` is a hub id or a folder; ``context_length`` is in tokens."""

    name: str
    source: str
    description: str
    context_length: int
    sampling: Sampling


def entries() -> tuple[CatalogueEntry, ...]:
    """The catalogue, the default first."""
    return (
        CatalogueEntry(
            name="embedded",
            source=str(EMBEDDED_FOLDER),
            description="A tiny Mistral that ships with the playground: small talk and simple tasks.",
            context_length=2048,
            sampling=Sampling(temperature=0.0),
        ),
        CatalogueEntry(
            name="mistral-small",
            source="mistralai/Mistral-Small-24B-Instruct-2501",
            description="Mistral Small 3, 24 billion parameters, instruction-tuned (January 2025).",
            context_length=32_768,
            sampling=Sampling(temperature=0.15),
        ),
    )


def find(name: str) -> CatalogueEntry | None:
    """The entry of this name or source."""
    for entry in entries():
        if name in (entry.name, entry.source):
            return entry
    return None
