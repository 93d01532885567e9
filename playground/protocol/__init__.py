"""The types that all floors share: what is asked (`Request`), what comes back (`Delta`, `Finished`,
`Answer`), who answers (`Backend`).

Knows no model, no HTTP and no widget; imports nothing of the project but its errors.
"""

from playground.protocol.answering import MAX_CHOICES, answer, choices, merge, stream_choices
from playground.protocol.answers import (
    Answer,
    AnswerBuilder,
    CallDelta,
    Delta,
    Finished,
    FinishReason,
    Guarantee,
    Provenance,
    StreamEvent,
    Timings,
    TokenLogprob,
    Usage,
    collect,
)
from playground.protocol.backend import (
    AdapterHost,
    Backend,
    Capabilities,
    ModelInfo,
    TokenizerHost,
    check_capabilities,
    find_model,
    require_model,
)
from playground.protocol.messages import Message, Role, Tool, ToolCall
from playground.protocol.request import (
    ANY_OBJECT,
    FormatKind,
    Priority,
    Request,
    ResponseFormat,
    Sampling,
    ToolChoice,
    new_request_id,
)

__all__ = [
    "ANY_OBJECT",
    "MAX_CHOICES",
    "AdapterHost",
    "Answer",
    "AnswerBuilder",
    "Backend",
    "CallDelta",
    "Capabilities",
    "Delta",
    "FinishReason",
    "Finished",
    "FormatKind",
    "Guarantee",
    "Message",
    "ModelInfo",
    "Priority",
    "Provenance",
    "Request",
    "ResponseFormat",
    "Role",
    "Sampling",
    "StreamEvent",
    "Timings",
    "TokenLogprob",
    "TokenizerHost",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "Usage",
    "answer",
    "check_capabilities",
    "choices",
    "collect",
    "find_model",
    "merge",
    "new_request_id",
    "require_model",
    "stream_choices",
]
