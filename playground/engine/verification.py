"""From a step's logits to answers that are some tokens longer: choosing, and verifying drafts.

Knows logits and sequences; knows no model.
"""

import itertools
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, field

from torch import Tensor

from playground.engine.batch import ScheduledChunk
from playground.engine.sampler import Choice, choose
from playground.engine.sequence import Sequence
from playground.errors import RequestFailed


@dataclass(eq=False, slots=True)
class _Drafted:
    """A sequence of ``length`` tokens, its draft, and the rows of logits after each of them."""

    sequence: Sequence
    length: int
    rows: list[int] = field(default_factory=list)
    draft: list[int] = field(default_factory=list)

    @property
    def gained(self) -> int:
        """Tokens that the sequence gained in this step."""
        return len(self.sequence.tokens) - self.length

    @property
    def accepted(self) -> int:
        """Drafted tokens that the sequence gained, up to the first that differs."""
        gained = self.sequence.tokens[self.length :]
        pairs = zip(self.draft, gained, strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def score_prompts(logits: Tensor, chunks: AnySequence[tuple[Sequence, ScheduledChunk]]) -> Tensor:
    """Score the prompts that are to be scored; return the rows after which a token is chosen.

    ``logits`` has `ScheduledChunk.num_logits` rows for each chunk.
    """
    stops = list(itertools.accumulate(chunk.num_logits for _, chunk in chunks))
    placed = list(zip(chunks, stops, strict=True))
    for (sequence, chunk), stop in sorted(placed, key=lambda entry: entry[0][1].start):
        if chunk.scored:
            sequence.score_prompt(logits[stop - chunk.num_logits : stop], chunk.start)
    return logits[[stop - 1 for (_, chunk), stop in placed if chunk.wants_logits]]


def verify_drafts_and_append(
    logits: Tensor, chunks: AnySequence[tuple[Sequence, ScheduledChunk]]
) -> list[Sequence]:
    """Choose a next token for each sequence, and go on for as long as the choice is what was
    drafted; return the sequences whose answers are complete.

    ``logits`` has a row for each chunk: for each sequence the one that completes its tokens, and
    one for each drafted token. Every token is chosen from the row after the tokens before it, so
    that drafts change no answer. Raises what `choose` raises, before any token is appended; an
    error in a draft's row is left to the next step, and an error of a sink ends its request alone.
    """
    drafted = _by_sequence(chunks)
    done: list[Sequence] = []
    alive = drafted
    interrupted: list[_Drafted] = []
    first = True
    while alive:
        rows = [entry.rows[entry.gained] for entry in alive]
        try:
            chosen = logits if len(rows) == len(logits) else logits[rows]
            choices = choose(chosen, [entry.sequence.sampler for entry in alive])
        except (RuntimeError, ValueError):
            if first:
                raise
            interrupted = alive
            break
        first = False
        agreeing = []
        for entry, choice in zip(alive, choices, strict=True):
            if _append(entry.sequence, choice):
                done.append(entry.sequence)
            elif entry.draft and entry.accepted == entry.gained:
                agreeing.append(entry)
        alive = agreeing
    for entry in drafted:
        if entry.draft:
            accepted = entry.accepted
            entry.sequence.num_computed = entry.length + accepted
            if entry in interrupted:  # the logits after its last token are needed again
                entry.sequence.num_computed -= 1
            entry.sequence.lookup.update_acceptance(len(entry.draft), accepted)
    return done


def _append(sequence: Sequence, choice: Choice) -> bool:
    """Append the token; True when the answer is complete, or ended by an error of its own."""
    try:
        return sequence.append(choice)
    except Exception as error:  # noqa: BLE001 - a request's own sink, which must not end the thread
        failure = RequestFailed(f"its answer cannot be read: {error!r}")
        failure.__cause__ = error
        sequence.fail(failure)
        return True


def _by_sequence(chunks: AnySequence[tuple[Sequence, ScheduledChunk]]) -> list[_Drafted]:
    entries: dict[Sequence, _Drafted] = {}
    for row, (sequence, chunk) in enumerate(chunks):
        entry = entries.setdefault(sequence, _Drafted(sequence, len(sequence.tokens)))
        if chunk.start < entry.length:
            entry.rows.insert(0, row)  # chunks of several tokens come after drafts in a step
        else:
            entry.rows.append(row)
            entry.draft += chunk.token_ids
    return list(entries.values())
