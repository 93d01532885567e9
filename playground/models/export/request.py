"""`ExportRequest`: which adapter leaves in which form."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from playground.errors import InvalidSettings
from playground.models.adapters import read_adapter
from playground.models.catalogue import find
from playground.protocol import Sampling

Target = Literal["peft", "merged", "gguf", "ollama", "vllm"]
TARGETS: tuple[Target, ...] = get_args(Target)
GgufType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "q4_k_m"]
GGUF_TYPES: tuple[GgufType, ...] = get_args(GgufType)
"""The types of matrices. ``q4_k_m`` needs llama-cpp-python; the others are written by ``gguf``."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An adapter's folder, the form that is wanted, and the new folder for it.

    ``base`` is a catalogue name, a folder or a hub id; ``checks_base`` is False where it stands in
    for the one that the adapter was trained on, such as its unquantized original. ``name`` is how
    other programs will call the fine-tuned model. ``gguf_type`` counts for GGUF and Ollama only.
    """

    adapter: Path
    target: Target
    folder: Path
    name: str
    base: str
    home: Path
    checks_base: bool = True
    gguf_type: GgufType = "f16"
    sampling: Sampling = field(default_factory=Sampling)
    context_length: int | None = None

    def __post_init__(self) -> None:
        for label, value, known in (
            ("to", self.target, TARGETS),
            ("type", self.gguf_type, GGUF_TYPES),
        ):
            if value not in known:
                raise InvalidSettings(f"{label}: {value!r} is none of {', '.join(known)}")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the folder, its files, a command that loads it, and what to know of it."""

    folder: Path
    files: tuple[Path, ...]
    command: str
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.files)


def make_request(
    adapter: Path,
    to: str,
    home: Path,
    *,
    out: Path | None = None,
    gguf_type: str = "f16",
    model: str | None = None,
) -> ExportRequest:
    """Return the request for an adapter's folder, with what its card and the catalogue say.

    ``model`` stands in for the base that it was trained on. ``out`` is ``NAME-VERSION-to`` in the
    working directory by default. Raises `BrokenAdapter`, and `InvalidSettings` if no base is named.
    """
    read = read_adapter(adapter, "adapter")
    name = str(read.card.get("name") or adapter.resolve().name)
    version = read.card.get("version")
    trained_on = read.card.get("base") or read.config.get("base_model_name_or_path")
    base = model or str(trained_on or "")
    if not base:
        raise InvalidSettings(f"{adapter} does not say what base it was trained on: give --model")
    entry = find(base)
    return ExportRequest(
        adapter=adapter,
        target=cast("Target", to),
        folder=out or Path("-".join(filter(None, (name, str(version or ""), to)))),
        name=name,
        base=base,
        home=home,
        checks_base=model is None,
        gguf_type=cast("GgufType", gguf_type),
        sampling=entry.sampling if entry else Sampling(),
        context_length=entry.context_length if entry else None,
    )
