"""Token ids in, token ids out: continuous batching on one thread that owns the model.

Knows no message, no text, no JSON schema and no tool.
"""

from playground.engine.engine import Engine, Limits
from playground.engine.request import (
    FinishReason,
    GenerationRequest,
    GenerationResult,
    TokenScore,
    TokenSink,
)

__all__ = [
    "Engine",
    "FinishReason",
    "GenerationRequest",
    "GenerationResult",
    "Limits",
    "TokenScore",
    "TokenSink",
]
