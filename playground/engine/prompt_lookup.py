"""Drafts by prompt lookup: an answer that repeats its prompt is guessed from it, then checked.

What followed the last few tokens where they occurred before is drafted and computed in the same
step, each drafted token as if it had been chosen. One counts only if the sampler chooses it from
the logits before it, so that an answer is the same with drafts and without. Source of the idea:
prompt lookup decoding (github.com/apoorvumang/prompt-lookup-decoding).

Knows tokens; knows no model and no text.
"""

from collections.abc import Sequence

GRAM = 2
"""Tokens that must have occurred before."""
LONGEST = 8
ROWS = 16
"""Rows of a step up to which drafts pay: beyond, products take as long as they have rows."""
KEPT = 0.8
"""Weight of the past in a sequence's acceptance rate."""
PAUSE = 24
"""Tokens without drafts after they were found to lose, until they are tried again."""


def min_acceptance_rate(decoding: int) -> float:
    """TrainingPriority of drafted tokens that must be accepted for drafts to pay beside so many answers: from
    a fifth for one, whose products read all weights anyway, to four fifths (docs/log.md).
    """
    return 0.2 + 0.6 * decoding / ROWS


class PromptLookup:
    """One sequence's drafts and how they fared."""

    def __init__(self) -> None:
        self._after: dict[tuple[int, ...], int] = {}
        self._indexed = GRAM
        self._share = 0.5
        self._pause_until = 0

    def draft(self, tokens: Sequence[int], most: int, needed: float) -> list[int]:
        """At most ``most`` tokens that may follow; none if too few were right (`min_acceptance_rate`)."""
        if len(tokens) < self._pause_until or most < 1:
            return []
        if self._share < needed:
            self._pause_until, self._share = len(tokens) + PAUSE, needed
            return []
        for end in range(self._indexed, len(tokens)):
            self._after[tuple(tokens[end - GRAM : end])] = end
        self._indexed = max(self._indexed, len(tokens))
        place = self._after.get(tuple(tokens[-GRAM:]))
        if place is None:
            return []
        return list(tokens[place : place + min(most, LONGEST)])

    def judge(self, drafted: int, accepted: int) -> None:
        """Say how many of the drafted tokens came."""
        if drafted:
            self._share = KEPT * self._share + (1 - KEPT) * accepted / drafted
