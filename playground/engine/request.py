"""The engine's interface: a request in token ids, a sink for the tokens, a result at the end.

Knows no text: rendering, detokenizing and stop strings belong to the backend.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from playground.errors import PlaygroundError
from playground.models.adapters import Adapter
from playground.protocol import Priority, Sampling, Timings

FinishReason = Literal["stop", "length", "cancelled"]
"""``stop``: an end token, the sink's stop, or a grammar that allows nothing more; ``length``: the
token limit."""


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A token's natural log-probability under the model itself, before penalties and truncation.

    ``alternatives`` are the most likely tokens with theirs, most likely first.
    """

    logprob: float
    alternatives: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """The end of an answer. End tokens are not counted.

    ``cached_tokens`` of the prompt came from the prefix cache. ``steered``: near the token limit
    the grammar replaced a token so that the answer could still be closed.
    """

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    timings: Timings
    steered: bool


class TokenSink(Protocol):
    """Receives one answer, on the engine's thread only. Its methods must be quick and not raise."""

    def take_prompt(self, scores: Sequence[TokenScore]) -> None:
        """Take the scores of the prompt's tokens but the first, before any `push`.

        Called where `Sampling.prompt_logprobs` asks for it.
        """
        ...

    def push(self, token_id: int, score: TokenScore | None) -> bool:
        """Take the next token; True ends the answer here with reason ``stop``.

        ``score`` is given where `Sampling.logprobs` asks for it. The end token is not pushed.
        """
        ...

    def finish(self, result: GenerationResult) -> None:
        """Take the end of the answer; called once, unless `fail` is."""
        ...

    def fail(self, error: PlaygroundError) -> None:
        """Take the error that ended the answer: `RequestFailed` or `EngineStopped`."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One answer to one prompt of token ids.

    ``max_tokens`` of None means to the end of the context; it is what holds, not the limit that
    ``sampling`` carries, whose stop strings are not read here either. ``grammar`` is llguidance
    Lark, "" for none. ``adapter`` is the version that answers with the base; None is the base
    alone. ``id`` must differ from those of all live requests. ``client`` is whose share of
    the steps it takes.
    """

    id: str
    prompt: Sequence[int]
    sampling: Sampling
    sink: TokenSink
    max_tokens: int | None = None
    grammar: str = ""
    adapter: Adapter | None = None
    priority: Priority = Priority.INTERACTIVE
    client: str = ""
