"""What comes back from a backend: a stream of `Event`.

What the page shows and what server-sent events carry are projections of it. A request that fails
raises from the stream instead of sending an event.
"""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer with its natural log-probability under the model itself: before
    penalties, bias, temperature and truncation. ``alternatives`` are the likeliest tokens at that
    place, likeliest first.
    """

    token_id: int
    text: str
    utf8: bytes
    logprob: float
    alternatives: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; ``cached_tokens`` of the prompt came from the prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds: waiting for a slot, from arrival to the first token, from arrival to the end."""

    queued_s: float
    first_token_s: float
    total_s: float

    def tokens_per_second(self, completion_tokens: int) -> float | None:
        """Decode speed after the first token; None for an answer of fewer than two tokens."""
        decode_s = self.total_s - self.first_token_s
        return (
            (completion_tokens - 1) / decode_s if completion_tokens > 1 and decode_s > 0 else None
        )


Channel = Literal["text", "calls"]
Guarantee = Literal["strict", "checked", "none"]
"""How an answer holds its JSON schema. ``strict``: no token could break it. ``checked``: it was
found valid at its end. ``none``: it is JSON, and breaks the schema."""


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A piece of the tool call number ``index``: first its id and name, then its arguments."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The weights behind an answer: hash and quantization of the base, and name and content hash of
    the adapter, both empty where the base answered alone.
    """

    base_hash: str = ""
    quantization: str = "none"
    adapter: str = ""
    adapter_hash: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A piece of an answer.

    ``text`` never ends inside a character and never shows a part of a stop string. The last event
    of a stream, and only that, has ``finish_reason``, ``usage``, ``timings`` and ``provenance``. On
    the channel ``calls`` the text is the JSON array of tool calls as the model writes it;
    `playground.modes` turns it into ``calls``, and says in the last event which ``guarantee`` held,
    where there was a schema and the answer came to its end.
    """

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    channel: Channel = "text"
    calls: tuple[CallDelta, ...] = ()
    guarantee: Guarantee | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    provenance: Provenance | None = None
