"""What a backend gives back: a stream of `Delta` that ends in `Finished`, or the whole `Answer`.

The page and server-sent events are projections of the stream. A request that fails raises from the
stream instead of sending an event.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from playground.protocol.messages import ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]
Guarantee = Literal["strict", "checked", "none"]
"""How an answer meets its response format. ``strict``: decoding could not break it. ``checked``: it
was validated when it was complete. ``none``: it is JSON and breaks the schema.

Of an answer with calls it is said of all their arguments together, each against its function's
schema: the weakest holds."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer with its natural log-probability under the model itself: before
    penalties, bias, temperature and truncation. ``alternatives`` are the most likely tokens at that
    position, most likely first.
    """

    token_id: int
    text: str
    utf8: bytes
    logprob: float
    alternatives: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; ``cached_tokens`` of the prompt came from the prefix cache.

    An answer that was asked for again counts all of its tries; ``retried`` is what those after the
    first one added.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    retried: "Usage | None" = field(default=None, repr=False)

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def with_retry(self, other: "Usage") -> "Usage":
        """Both together, ``other`` being a further try."""
        retried = self.retried.with_retry(other) if self.retried else other
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            replace(retried, retried=None),
        )


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


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A piece of the tool call number ``index``: first its id and name, then its arguments."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an answer follows from: hash and quantization of the base, name and content hash of the
    adapter (empty where the base answered alone), and the sampling settings in force, with the seed
    that was used. A `ModelInfo` has it without settings and seed.
    """

    base_hash: str = ""
    quantization: str = "none"
    adapter: str = ""
    adapter_hash: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    seed: int | None = None

    @classmethod
    def parse(cls, value: object) -> "Provenance":
        """Read what `dataclasses.asdict` made of one; whatever is damaged keeps its default."""
        stored = value if isinstance(value, dict) else {}
        names = ("base_hash", "quantization", "adapter", "adapter_hash")
        weights = {name: stored[name] for name in names if isinstance(stored.get(name), str)}
        settings, seed = stored.get("settings"), stored.get("seed")
        return cls(
            **weights,
            settings=settings if isinstance(settings, dict) else {},
            seed=seed if isinstance(seed, int) else None,
        )

    def weights(self) -> "Provenance":
        """The same without settings and seed: what a `ModelInfo` has."""
        return replace(self, settings={}, seed=None)


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer. ``text`` never ends inside a character and never shows part of a stop
    string; ``reasoning`` is what the model writes before its answer. ``prompt_logprobs``, if asked
    for, come once and first: all tokens of the prompt, NaN for the first, which nothing precedes.
    ``usage`` counts the tokens up to here, where the backend knows.
    """

    text: str = ""
    calls: tuple[CallDelta, ...] = ()
    reasoning: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[TokenLogprob, ...] = ()
    usage: Usage | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer. ``guarantee`` is None unless the answer came to its own end and is
    either calls or of a response format that was asked for. ``closed_early``: the token limit made
    the grammar close the answer, whose form is complete and whose content is not; the reason is
    ``length`` then. ``fitted_max_tokens`` is the token limit that held where the one asked for was
    beyond the context. ``schema_in_prompt``: the model was shown the schema that was asked for.
    ``cost_usd`` is what it costs by the table of prices, None where nobody counts.
    """

    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    provenance: Provenance = field(default_factory=Provenance)
    guarantee: Guarantee | None = None
    closed_early: bool = False
    fitted_max_tokens: int | None = None
    schema_in_prompt: bool = False
    cost_usd: float | None = None


StreamEvent: TypeAlias = Delta | Finished


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: everything its deltas held, and how it ended.

    ``calls`` are complete; they are to be run only if the reason is ``tool_calls``. ``cut_call`` is
    one whose arguments the token limit broke off or made the grammar close: never to be run.
    ``tries`` is how often it was asked for: ``usage`` and ``cost_usd`` count them all, and all else
    is the last one's.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    provenance: Provenance = field(default_factory=Provenance)
    guarantee: Guarantee | None = None
    closed_early: bool = False
    schema_in_prompt: bool = False
    calls: tuple[ToolCall, ...] = ()
    cut_call: CallDelta | None = None
    reasoning: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[TokenLogprob, ...] = ()
    fitted_max_tokens: int | None = None
    cost_usd: float | None = None
    tries: int = 1


@dataclass(slots=True)
class AnswerBuilder:
    """Folds a stream: `add` each event, read ``text`` at any time, take the `Answer` at the end."""

    text: str = ""
    reasoning: str = ""
    _calls: dict[int, CallDelta] = field(default_factory=dict)
    _logprobs: list[TokenLogprob] = field(default_factory=list)
    _prompt_logprobs: tuple[TokenLogprob, ...] = ()

    def add(self, event: StreamEvent) -> Answer | None:
        """Take the next event; the answer once the last one is taken."""
        if isinstance(event, Finished):
            calls, cut_call = self._calls_at_end(event.finish_reason)
            return Answer(
                text=self.text,
                finish_reason=event.finish_reason,
                usage=event.usage,
                timings=event.timings,
                provenance=event.provenance,
                guarantee=event.guarantee,
                closed_early=event.closed_early,
                schema_in_prompt=event.schema_in_prompt,
                calls=calls,
                cut_call=cut_call,
                reasoning=self.reasoning,
                logprobs=tuple(self._logprobs),
                prompt_logprobs=self._prompt_logprobs,
                fitted_max_tokens=event.fitted_max_tokens,
                cost_usd=event.cost_usd,
            )
        self.text += event.text
        self.reasoning += event.reasoning
        self._logprobs.extend(event.logprobs)
        self._prompt_logprobs += event.prompt_logprobs
        for delta in event.calls:
            known = self._calls.get(delta.index, delta)
            if known is not delta:
                known = replace(known, arguments=known.arguments + delta.arguments)
            self._calls[delta.index] = known
        return None

    @property
    def call_names(self) -> tuple[str, ...]:
        """Functions called so far, the one being written included."""
        return tuple(self._calls[index].name for index in sorted(self._calls))

    def arguments_of(self, index: int) -> str:
        """The arguments of a call so far."""
        return self._calls[index].arguments

    def _calls_at_end(self, reason: FinishReason) -> tuple[tuple[ToolCall, ...], CallDelta | None]:
        """The complete calls, and the last one if it broke off."""
        ordered = [self._calls[index] for index in sorted(self._calls)]
        cut_call = ordered.pop() if ordered and reason != "tool_calls" else None
        return tuple(ToolCall(call.id, call.name, call.arguments) for call in ordered), cut_call


async def collect(stream: AsyncGenerator[StreamEvent, None]) -> Answer:
    """The whole answer of a stream, which is closed. Raises what the stream raises."""
    builder = AnswerBuilder()
    async with aclosing(stream) as events:
        async for event in events:
            answer = builder.add(event)
            if answer:
                return answer
    raise AssertionError("a stream ended without Finished")
