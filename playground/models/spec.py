"""`ModelSpec`: which model to load, and how."""

from dataclasses import dataclass

from playground.settings import Precision, Quantization


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model with the options of its loading.

    ``source`` is a catalogue name, a hub id (with ``:Q4_K_M`` for one of its GGUF files), a local
    folder or a GGUF file. ``precision`` "auto" is bf16 on a
    GPU; on a CPU it is fp32 for small models and bf16 for large ones. ``device`` is "auto", "cpu",
    "cuda" or "cuda:N". ``context_length`` defaults to the catalogue's or the config's.
    """

    source: str
    revision: str | None = None
    precision: Precision = "auto"
    quantization: Quantization = "none"
    device: str = "auto"
    attention: str = "auto"
    context_length: int | None = None
