"""From a step's logits to answers that are some tokens longer: choosing, and checking drafts.

Knows logits and sequences; knows no model.
"""

import itertools
from collections.abc import Sequence as AnySequence

from torch import Tensor

from playground.engine.sampler import choose
from playground.engine.scheduler import Segment
from playground.engine.sequence import Sequence


def verify_drafts_and_append(logits: Tensor, segments: AnySequence[Segment]) -> list[Sequence]:
    """Choose what follows each segment, and go on for as long as that is what was drafted; returns
    the sequences whose answers are complete.

    ``logits`` has a row for each segment, followed by one for each token of its draft. Every token
    is chosen from the row after the tokens before it, in order, so that drafts change no answer.
    Raises what `choose` raises, before anything is taken; what goes wrong in a draft is left to the
    next step.
    """
    done: list[Sequence] = []
    counts = [1 + len(segment.draft) for segment in segments]
    begins = list(itertools.accumulate(counts, initial=0))[:-1]
    alive = list(zip(segments, begins, strict=True))
    rows = begins
    while alive:
        chosen = logits if len(rows) == len(logits) else logits[rows]
        try:
            choices = choose(chosen, [segment.sequence.sampler for segment, _ in alive])
        except (RuntimeError, ValueError):
            if rows is begins:
                raise
            break
        agreeing = []
        for (segment, begin), choice in zip(alive, choices, strict=True):
            if segment.sequence.take(choice):
                done.append(segment.sequence)
            elif segment.draft and _agreed(segment) == _taken(segment):
                agreeing.append((segment, begin))
        alive = agreeing
        rows = [begin + _taken(segment) for segment, begin in alive]
    for segment in segments:
        if segment.draft:
            accepted = _agreed(segment)
            segment.sequence.computed = segment.stop + accepted
            segment.sequence.lookup.judge(len(segment.draft), accepted)
    return done


def _taken(segment: Segment) -> int:
    """Tokens that the sequence gained after the segment."""
    return len(segment.sequence.tokens) - segment.stop


def _agreed(segment: Segment) -> int:
    """How many of them are those of the draft, up to the first that is not."""
    gained = segment.sequence.tokens[segment.stop :]
    pairs = zip(segment.draft, gained, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
