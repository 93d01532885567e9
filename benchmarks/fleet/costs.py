"""What a step of an engine takes: as measured, or as memory and arithmetic of a GPU allow.

Knows no load and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

GB, TERA = 1e9, 1e12
SECONDS_AN_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class EngineCosts:
    """Seconds of a step: ``base_s``, and for each decoded row, token of context that attention
    reads, prompt token computed, and request that begins. ``path_s`` a request is on its way
    beside them, while the engine works on; ``wake_s`` the first step after a pause takes longer, as
    threads sleep and caches are cold. ``noise`` is by how much the same work, of ``noise_s``
    seconds, took longer or shorter each time. ``kv_tokens`` fit into the KV cache."""

    base_s: float
    row_s: float
    context_s: float
    prompt_s: float
    request_s: float = 0.0
    path_s: float = 0.0
    wake_s: float = 0.0
    noise: tuple[float, ...] = ()
    noise_s: float = 0.0
    max_sequences: int = 32
    step_tokens: int = 512
    kv_tokens: int = 1_000_000
    adapter_s: float = 0.05
    max_adapters: int = 8

    def step_s(self, rows: int, context: int, prompt_tokens: int) -> float:
        """Seconds of a step with so many decoded rows, tokens of their contexts, and prompt
        tokens."""
        return (
            self.base_s
            + rows * self.row_s
            + context * self.context_s
            + prompt_tokens * self.prompt_s
        )


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: bytes a second, dense bf16 operations a second, bytes, USD an hour."""

    bandwidth: float
    operations: float
    memory: float
    usd_per_hour: float


CARDS: Final[Mapping[str, Card]] = MappingProxyType(
    {  # bandwidth, operations and memory from NVIDIA's data sheets; prices are examples
        "rtx4090": Card(1.008 * TERA, 165 * TERA, 24 * GB, 0.4),
        "a100-80": Card(2.039 * TERA, 312 * TERA, 80 * GB, 1.5),
        "h100": Card(3.35 * TERA, 989 * TERA, 80 * GB, 2.5),
        "h200": Card(4.8 * TERA, 989 * TERA, 141 * GB, 3.5),
    }
)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Parameters, bytes of weights by how they are held, and of keys and values a token."""

    parameters: float
    kv_bytes: int
    weights: Mapping[str, float]


MISTRAL_SMALL: Final = ModelShape(
    parameters=23.57e9,
    kv_bytes=2 * 40 * 8 * 128 * 2,
    weights=MappingProxyType({"bf16": 47.1 * GB, "fp8": 24.2 * GB, "nf4": 13.6 * GB}),
)
"""40 layers of 8 KV heads of 128 numbers in 2 bytes: 163,840 bytes a token."""
OVERHEAD_S: Final = 0.002
"""Launches, sampling and scheduling of a step; to be measured on each card."""
BANDWIDTH_SHARE, OPERATIONS_SHARE = 0.75, 0.45
"""What kernels reach of a card's figures; to be measured, too."""
WORKSPACE: Final = 4 * GB


def roofline(
    card: Card, held_as: str, shape: ModelShape = MISTRAL_SMALL, max_sequences: int = 64
) -> EngineCosts:
    """What the card's memory and arithmetic allow. Raises `ValueError` if it is too small."""
    weights = shape.weights[held_as]
    free = card.memory - weights - WORKSPACE
    if free <= 0:
        raise ValueError(f"{held_as}: {weights / GB:.0f} GB of weights do not fit on this card")
    bandwidth = card.bandwidth * BANDWIDTH_SHARE
    token_s = 2 * shape.parameters / (card.operations * OPERATIONS_SHARE)
    return EngineCosts(
        base_s=OVERHEAD_S + weights / bandwidth,
        row_s=0.0,  # hidden behind the weights until a batch has hundreds of rows
        context_s=shape.kv_bytes / bandwidth,
        prompt_s=token_s,
        max_sequences=max_sequences,
        step_tokens=2048,
        kv_tokens=int(free / shape.kv_bytes),
    )
