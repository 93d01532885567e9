"""A step's work: the chunks that the scheduler chose, and the rows they make up side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE


@dataclass(frozen=True, slots=True)
class ScheduledChunk:
    """Tokens of one sequence to compute in the coming step, the first at position ``start``.

    ``wants_logits``: a next token is chosen after its last token. ``slot`` is the resident adapter
    that answers with the base. ``scored``: the prompt's tokens are scored, which takes the logits
    after each of the chunk's tokens. A drafted token is a chunk of its own.
    """

    cache: SequenceCache
    token_ids: Sequence[int]
    start: int
    wants_logits: bool
    slot: int = BASE
    scored: bool = False

    @property
    def num_logits(self) -> int:
        """Rows of logits that it wants."""
        return len(self.token_ids) if self.scored else int(self.wants_logits)

    @property
    def stop(self) -> int:
        """The position after its last token."""
        return self.start + len(self.token_ids)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """A step's chunks one after another, padded: token, position and adapter slot of each row.

    ``logits_rows`` are the rows after which a next token is chosen, padded too; the first
    ``num_logits`` of them are wanted.
    """

    token_ids: list[int]
    positions: list[int]
    slots: list[int]
    logits_rows: list[int]
    num_logits: int

    @classmethod
    def of(
        cls, chunks: Sequence[ScheduledChunk], row_multiple: int, adapter_row_multiple: int
    ) -> Self:
        """Pad to a multiple of ``row_multiple`` rows, or of the other where adapters are used."""
        token_ids: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        logits_rows: list[int] = []
        for chunk in chunks:
            token_ids += chunk.token_ids
            positions += range(chunk.start, chunk.stop)
            slots += [chunk.slot] * len(chunk.token_ids)
            logits_rows += range(len(token_ids) - chunk.num_logits, len(token_ids))
        num_logits = len(logits_rows)
        if any(chunk.slot != BASE for chunk in chunks):
            row_multiple = max(row_multiple, adapter_row_multiple)
        last_slot = slots[-1]  # so that a step of one adapter remains one
        for values, padding in (
            (token_ids, 0),
            (positions, 0),
            (slots, last_slot),
            (logits_rows, 0),
        ):
            values += [padding] * (-len(values) % row_multiple)
        return cls(token_ids, positions, slots, logits_rows or [0] * row_multiple, num_logits)

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return token ids, positions and logits rows as a `Forward` takes them."""
        return (
            torch.tensor(self.token_ids, device=device),
            torch.tensor(self.positions, device=device),
            torch.tensor(self.logits_rows, device=device),
        )
