"""What the engine is asked and what it gives back: token ids in, token ids out.

Knows no text, no message and no schema.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from playground.errors import PlaygroundError
from playground.models.adapters import Adapter
from playground.protocol import Priority, Sampling, Timings


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token's natural log-probability, and the most likely token ids with theirs."""

    logprob: float
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """How a generation ended; ``steered`` if the token limit made its grammar close early."""

    reason: Literal["stop", "length", "cancelled"]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    timings: Timings
    steered: bool = False


class TokenSink(Protocol):
    """Receives a generation's tokens, on the engine's thread."""

    def push(self, token_id: int, score: TokenScore | None) -> bool:
        """Take the next token; True ends the generation with reason ``stop``."""
        ...

    def finish(self, result: GenerationResult) -> None:
        """The generation is over; called once, unless `fail` is."""
        ...

    def fail(self, error: PlaygroundError) -> None:
        """The generation failed."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A prompt to continue. ``max_tokens`` of None runs to the end of the context; ``grammar`` is
    llguidance's Lark, empty for none; ``adapter`` of None is the base.
    """

    id: str
    prompt: Sequence[int]
    sampling: Sampling
    sink: TokenSink
    max_tokens: int | None = None
    grammar: str = ""
    adapter: Adapter | None = None
    priority: Priority = Priority.INTERACTIVE
