"""What to load and how: a frozen `ModelSpec`, the loader's only argument."""

from dataclasses import dataclass

from playground.settings import Precision, Quantization


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model and the form it is wanted in.

    ``source`` is a catalogue name, a hub id or a local folder. ``precision`` "auto" is what suits
    the device: on a CPU fp32 for small models and bf16 for large, on a GPU bf16. ``device`` is
    "auto", "cpu", "cuda" or "cuda:N". ``context_length`` None is the catalogue's or the
    config's own.
    """

    source: str
    revision: str | None = None
    precision: Precision = "auto"
    quantization: Quantization = "none"
    device: str = "auto"
    attention: str = "auto"
    context_length: int | None = None
