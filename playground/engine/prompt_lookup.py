"""Drafts by prompt lookup: an answer that repeats its prompt is guessed from it, then checked.

The tokens that followed the last n-gram where it occurred before are drafted and computed in the
same step. A drafted token counts only if the sampler chooses it from the logits before it, so that
an answer is the same with drafts and without. Source of the idea: prompt lookup decoding
(github.com/apoorvumang/prompt-lookup-decoding).

Knows tokens; knows no model and no text.
"""

from collections.abc import Sequence

NGRAM_SIZE = 2
"""Tokens that must have occurred before."""
MAX_DRAFT_TOKENS = 8
MAX_DRAFT_ROWS = 16
"""Rows of a step up to which drafts pay: beyond, a matmul takes as long as it has rows."""
EMA_DECAY = 0.8
"""Weight of the past in a sequence's acceptance rate."""
PAUSE_TOKENS = 24
"""Tokens without drafts after too few were accepted, until they are tried again."""


def min_acceptance_rate(decoding: int) -> float:
    """Return the acceptance rate from which drafts pay beside ``decoding`` answers.

    From a fifth for one answer, whose matmuls read all weights anyway, to four fifths (docs/log.md,
    "Drafts by prompt lookup").
    """
    return 0.2 + 0.6 * decoding / MAX_DRAFT_ROWS


class PromptLookup:
    """One sequence's drafts and how many of them were accepted."""

    def __init__(self) -> None:
        self._position_after: dict[tuple[int, ...], int] = {}
        self._indexed = NGRAM_SIZE
        self._acceptance_rate = 0.5
        self._paused_until = 0

    def draft(self, tokens: Sequence[int], max_tokens: int, min_acceptance: float) -> list[int]:
        """Return tokens that may follow; none while the acceptance rate is below the minimum."""
        if len(tokens) < self._paused_until or max_tokens < 1:
            return []
        if self._acceptance_rate < min_acceptance:
            self._paused_until = len(tokens) + PAUSE_TOKENS
            self._acceptance_rate = min_acceptance
            return []
        for end in range(self._indexed, len(tokens)):
            self._position_after[tuple(tokens[end - NGRAM_SIZE : end])] = end
        self._indexed = max(self._indexed, len(tokens))
        start = self._position_after.get(tuple(tokens[-NGRAM_SIZE:]))
        if start is None:
            return []
        return list(tokens[start : start + min(max_tokens, MAX_DRAFT_TOKENS)])

    def update_acceptance(self, drafted: int, accepted: int) -> None:
        """Record how many of the drafted tokens were accepted."""
        if drafted:
            rate = accepted / drafted
            self._acceptance_rate = EMA_DECAY * self._acceptance_rate + (1 - EMA_DECAY) * rate
