"""A request while it is being answered: its tokens, cache, sampling state and text.

Lives on the engine's thread alone, but for ``cancelled``, which any thread may set.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playground.engine.grammar import Matcher
from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE
from playground.engine.prompt_lookup import PromptLookup
from playground.engine.sampler import Choice, SamplerState
from playground.engine.text import AnswerText, Piece
from playground.errors import PlaygroundError
from playground.models.adapters import Adapter
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import (
    Event,
    FinishReason,
    Provenance,
    Request,
    Timings,
    TokenLogprob,
    Usage,
)
from playground.protocol.events import Channel

Deliver = Callable[[Event | PlaygroundError], None]


@dataclass(eq=False, slots=True)
class Sequence:
    """``tokens`` is prompt and answer; keys and values are stored for the first ``computed``.

    ``adapter`` answers with the base, from ``slot`` once it is resident; ``cached`` counts the
    prompt's tokens whose keys and values were there before. ``max_new`` is the largest number of
    answer tokens; ``deliver`` takes events as they come.
    """

    request: Request
    tokenizer: ChatTokenizer
    tokens: list[int]
    max_new: int
    deliver: Deliver
    sampler: SamplerState
    text: AnswerText
    prompt_length: int
    cache: SequenceCache = field(default_factory=SequenceCache)
    computed: int = 0
    cached: int = 0
    adapter: Adapter | None = None
    slot: int = BASE
    channel: Channel = "text"
    cancelled: bool = False
    arrived_s: float = field(default_factory=time.monotonic)
    admitted_s: float | None = None
    first_token_s: float | None = None
    provenance: Provenance = field(default_factory=Provenance)
    lookup: PromptLookup = field(default_factory=PromptLookup)

    @classmethod
    def begin(
        cls,
        request: Request,
        tokenizer: ChatTokenizer,
        prompt: list[int],
        max_new: int,
        deliver: Deliver,
        adapter: Adapter | None = None,
        matcher: Matcher | None = None,
    ) -> "Sequence":
        """A sequence about to be queued, with nothing computed yet."""
        sampling = request.sampling
        return cls(
            request=request,
            tokenizer=tokenizer,
            tokens=list(prompt),
            max_new=max_new,
            deliver=deliver,
            sampler=SamplerState(sampling, prompt, tokenizer.vocabulary_size, max_new, matcher),
            text=AnswerText(tokenizer.detokenizer(), sampling.stop),
            prompt_length=len(prompt),
            adapter=adapter,
        )

    @property
    def weights(self) -> str:
        """Names what answers: keys and values are of use only under the same."""
        return self.adapter.content_hash if self.adapter else ""

    @property
    def answer_length(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - self.prompt_length

    def draft(self, most: int, needed: float) -> list[int]:
        """Tokens that may follow, for which there is room in the cache and in the answer."""
        room = self.cache.capacity - len(self.tokens)
        left = self.max_new - self.answer_length - 1
        return self.lookup.draft(self.tokens, min(most, room, left), needed)

    def take(self, choice: Choice) -> bool:
        """Add the chosen token, and those that its grammar forces after it, and deliver what they
        show; True when the answer is complete.
        """
        self.first_token_s = self.first_token_s or time.monotonic()
        if self._add(choice.token_id, self._score(choice)):
            return True
        return any(self._add(token_id, None) for token_id in self.sampler.forced())

    def _add(self, token_id: int, score: TokenLogprob | None) -> bool:
        if token_id in self.tokenizer.end_ids:
            self.finish("stop")
            return True
        self.tokens.append(token_id)
        if self.request.tools and token_id == self.tokenizer.calls_id:
            self._begin_calls()
        piece = self.text.push(token_id, score)
        self._show(piece)
        if piece.stopped:
            self._end("stop")
            return True
        if self.answer_length >= self.max_new:
            self.finish("stop" if self.sampler.ended else "length")
            return True
        return False

    def _begin_calls(self) -> None:
        """What follows is no longer text but tool calls; stop strings do not hold in them."""
        self._show(self.text.finish())
        self.channel = "calls"
        self.text = AnswerText(self.tokenizer.detokenizer(), ())

    def _show(self, piece: Piece) -> None:
        if piece.text or piece.logprobs:
            self.deliver(Event(text=piece.text, logprobs=piece.logprobs, channel=self.channel))

    def finish(self, reason: FinishReason) -> None:
        """Deliver held-back text, then the final event."""
        piece = self.text.finish()
        self._show(piece)
        self._end("stop" if piece.stopped else reason)

    def _end(self, reason: FinishReason) -> None:
        now = time.monotonic()
        timings = Timings(
            queued_s=(self.admitted_s or now) - self.arrived_s,
            first_token_s=(self.first_token_s or now) - self.arrived_s,
            total_s=now - self.arrived_s,
        )
        cached = min(self.cached, self.prompt_length)
        usage = Usage(self.prompt_length, self.answer_length, cached)
        self.deliver(
            Event(finish_reason=reason, usage=usage, timings=timings, provenance=self.provenance)
        )

    def _score(self, choice: Choice) -> TokenLogprob | None:
        if choice.scored is None:
            return None
        return TokenLogprob(
            **self._spell(choice.token_id),
            logprob=choice.scored.logprob,
            alternatives=tuple(
                TokenLogprob(**self._spell(token_id), logprob=logprob)
                for token_id, logprob in choice.scored.alternatives
            ),
        )

    def _spell(self, token_id: int) -> dict[str, Any]:
        utf8 = self.tokenizer.token_bytes(token_id)
        return {"token_id": token_id, "text": utf8.decode("utf-8", "replace"), "utf8": utf8}
