"""A request while it is being answered: its tokens, cache and sampling state.

Lives on the engine's thread alone, but for ``cancelled``, which any thread may set.
"""

import time
from dataclasses import dataclass, field

from torch import Tensor

from playground.engine.grammar import Matcher
from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE
from playground.engine.prompt_lookup import PromptLookup
from playground.engine.request import (
    FinishReason,
    GenerationRequest,
    GenerationResult,
    TokenScore,
)
from playground.engine.sampler import Choice, SamplerState, score_tokens
from playground.errors import PlaygroundError
from playground.protocol import Timings


@dataclass(eq=False, slots=True)
class Sequence:
    """``tokens`` is prompt and answer; keys and values of the first ``num_computed`` are stored.

    ``num_cached`` counts the prompt's tokens whose keys and values came from the prefix cache.
    ``slot`` is that of the request's adapter once it is resident. ``prompt_scores`` are those of
    the prompt's tokens but the first, as far as they are computed; ``prompt_scored``: the sink has
    them. ``last_step`` is the number of the last one that it took part in.
    """

    request: GenerationRequest
    tokens: list[int]
    prompt_length: int
    max_new_tokens: int
    end_ids: frozenset[int]
    sampler: SamplerState
    cache: SequenceCache = field(default_factory=SequenceCache)
    lookup: PromptLookup = field(default_factory=PromptLookup)
    num_computed: int = 0
    num_cached: int = 0
    prompt_scores: list[TokenScore] = field(default_factory=list)
    prompt_scored: bool = False
    slot: int = BASE
    cancelled: bool = False
    arrived_s: float = field(default_factory=time.monotonic)
    admitted_s: float | None = None
    first_token_s: float | None = None
    last_step: int = 0

    @classmethod
    def begin(
        cls,
        request: GenerationRequest,
        max_new_tokens: int,
        vocabulary_size: int,
        end_ids: frozenset[int],
        matcher: Matcher | None,
    ) -> "Sequence":
        """Make a sequence about to be queued, with nothing computed yet."""
        tokens = list(request.prompt)
        end_ids = frozenset() if request.sampling.ignore_eos else end_ids
        return cls(
            request=request,
            tokens=tokens,
            prompt_length=len(tokens),
            max_new_tokens=max_new_tokens,
            end_ids=end_ids,
            sampler=SamplerState(
                request.sampling, tokens, vocabulary_size, max_new_tokens, matcher, end_ids
            ),
        )

    @property
    def adapter_hash(self) -> str:
        """Identifies the adapter version; "" is the base alone. Keys and values depend on it."""
        return self.request.adapter.content_hash if self.request.adapter else ""

    @property
    def answer_length(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - self.prompt_length

    @property
    def prompt_unscored(self) -> bool:
        """Whether the prompt's tokens are to be scored and are not yet."""
        return self.request.sampling.prompt_logprobs is not None and not self.prompt_scored

    def score_prompt(self, logits: Tensor, start: int) -> None:
        """Score the prompt's tokens from the logits after those at ``start`` and behind, and hand
        the scores to the sink when they are complete.
        """
        count = self.request.sampling.prompt_logprobs
        if count is None or self.prompt_scored:
            return
        known = len(self.prompt_scores)  # above zero where rows are computed again
        stop = min(start + len(logits), self.prompt_length - 1)
        if known < stop:
            rows = logits[known - start : stop - start]
            followers = self.tokens[known + 1 : stop + 1]
            self.prompt_scores += score_tokens(rows, followers, min(count, logits.shape[-1]))
        if len(self.prompt_scores) == self.prompt_length - 1:
            self.prompt_scored = True
            self.request.sink.take_prompt(self.prompt_scores)

    def draft(self, max_tokens: int, min_acceptance: float) -> list[int]:
        """Return tokens that may follow and have room in the cache and in the answer."""
        room = self.cache.capacity - len(self.tokens)
        left = max(0, self.max_new_tokens - self.answer_length - 1)
        return self.lookup.draft(self.tokens, min(max_tokens, room, left), min_acceptance)

    def append(self, choice: Choice) -> bool:
        """Append the chosen token, and those that its grammar forces after it, and push them to the
        sink; True when the answer is complete.
        """
        self.first_token_s = self.first_token_s or time.monotonic()
        if self.max_new_tokens == 0:  # only its prompt was to be scored
            self.finish("length")
            return True
        if self._append(choice.token_id, choice.score):
            return True
        return any(self._append(token_id, None) for token_id in self.sampler.count_forced())

    def _append(self, token_id: int, score: TokenScore | None) -> bool:
        if token_id in self.end_ids:
            self.finish("stop")
            return True
        self.tokens.append(token_id)
        if self.request.sink.push(token_id, score):
            self.finish("stop")
            return True
        if self.answer_length >= self.max_new_tokens:
            self.finish("stop" if self.sampler.grammar_done else "length")
            return True
        return False

    def finish(self, reason: FinishReason) -> None:
        """Hand the result to the sink."""
        now = time.monotonic()
        timings = Timings(
            queued_s=(self.admitted_s or now) - self.arrived_s,
            first_token_s=(self.first_token_s or now) - self.arrived_s,
            total_s=now - self.arrived_s,
        )
        result = GenerationResult(
            reason=reason,
            prompt_tokens=self.prompt_length,
            completion_tokens=self.answer_length,
            cached_tokens=min(self.num_cached, self.prompt_length),
            timings=timings,
            steered=self.sampler.steered,
        )
        self.request.sink.finish(result)

    def fail(self, error: PlaygroundError) -> None:
        """Hand an error to the sink."""
        self.request.sink.fail(error)
