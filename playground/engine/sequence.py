"""A request while it is being answered: its tokens, cache, sampling state and text.

Lives on the engine's thread alone, but for ``cancelled``, which any thread may set.
"""

import time
from dataclasses import dataclass, field
from typing import Literal

from playground.engine.grammar import Matcher
from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE
from playground.engine.prompt_lookup import PromptLookup
from playground.engine.request import GenerationRequest, GenerationResult, TokenScore
from playground.engine.sampler import Choice, SamplerState
from playground.models.adapters import Adapter
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import (
    Timings,
)


@dataclass(eq=False, slots=True)
class Sequence:
    """``tokens`` is prompt and answer; keys and values are stored for the first ``computed``.

    ``adapter`` answers with the base, from ``slot`` once it is resident; ``cached`` counts the
    prompt's tokens whose keys and values were there before. ``max_new`` is the largest number of
    answer tokens; ``deliver`` takes events as they come.
    """

    request: GenerationRequest
    tokenizer: ChatTokenizer
    tokens: list[int]
    max_new: int
    sampler: SamplerState
    prompt_length: int
    cache: SequenceCache = field(default_factory=SequenceCache)
    computed: int = 0
    cached: int = 0
    adapter: Adapter | None = None
    slot: int = BASE
    cancelled: bool = False
    arrived_s: float = field(default_factory=time.monotonic)
    admitted_s: float | None = None
    first_token_s: float | None = None
    lookup: PromptLookup = field(default_factory=PromptLookup)

    @classmethod
    def begin(
        cls,
        request: GenerationRequest,
        tokenizer: ChatTokenizer,
        prompt: list[int],
        max_new: int,
        matcher: Matcher | None = None,
    ) -> "Sequence":
        """A sequence about to be queued, with nothing computed yet."""
        sampling = request.sampling
        return cls(
            request=request,
            tokenizer=tokenizer,
            tokens=list(prompt),
            max_new=max_new,
            sampler=SamplerState(sampling, prompt, tokenizer.vocabulary_size, max_new, matcher),
            prompt_length=len(prompt),
            adapter=request.adapter,
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

    def _add(self, token_id: int, score: TokenScore | None) -> bool:
        if token_id in self.tokenizer.end_ids:
            self.finish("stop")
            return True
        self.tokens.append(token_id)
        if self.request.sink.push(token_id, score):
            self.finish("stop")
            return True
        if self.answer_length >= self.max_new:
            self.finish("stop" if self.sampler.ended else "length")
            return True
        return False

    def finish(self, reason: Literal["stop", "length", "cancelled"]) -> None:
        """Deliver the result."""
        now = time.monotonic()
        timings = Timings(
            queued_s=(self.admitted_s or now) - self.arrived_s,
            first_token_s=(self.first_token_s or now) - self.arrived_s,
            total_s=now - self.arrived_s,
        )
        cached = min(self.cached, self.prompt_length)
        self.request.sink.finish(
            GenerationResult(reason, self.prompt_length, self.answer_length, cached, timings)
        )

    def _score(self, choice: Choice) -> TokenScore | None:
        if choice.scored is None:
            return None
        return TokenScore(choice.scored.logprob, tuple(choice.scored.alternatives))
