"""The words that all floors share: what is asked (`Request`), what comes back (`Event`), who
answers (`Backend`).

Knows no model, no HTTP and no widget; imports nothing of the project but its errors.
"""

from playground.protocol.backend import AdapterHost, Backend, ModelInfo, named
from playground.protocol.events import (
    CallDelta,
    Event,
    FinishReason,
    Guarantee,
    Provenance,
    Timings,
    TokenLogprob,
    Usage,
)
from playground.protocol.messages import Message, Role, Tool, ToolCall
from playground.protocol.request import CallForm, Priority, Request, Sampling

__all__ = [
    "AdapterHost",
    "Backend",
    "CallDelta",
    "CallForm",
    "Event",
    "FinishReason",
    "Guarantee",
    "Message",
    "ModelInfo",
    "Priority",
    "Provenance",
    "Request",
    "Role",
    "Sampling",
    "Timings",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "Usage",
    "named",
]
