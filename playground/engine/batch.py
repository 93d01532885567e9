"""What a step is made of: stretches of sequences, and the rows they come to side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE


@dataclass(frozen=True, slots=True)
class Piece:
    """Token ids ``start … start + len(token_ids)`` of a sequence, to be run in this step by the
    base and the adapter in ``slot``.
    """

    cache: SequenceCache
    token_ids: Sequence[int]
    start: int
    wants_logits: bool
    slot: int = BASE


@dataclass(frozen=True, slots=True)
class Rows:
    """Pieces one after another, padded: a token, its position and its adapter's slot for each row;
    the rows that ``keep`` names are followed by a choice, of which ``wanted`` are no padding.
    """

    token_ids: list[int]
    positions: list[int]
    slots: list[int]
    keep: list[int]
    wanted: int

    @classmethod
    def of(cls, pieces: Sequence[Piece], multiple: int, with_adapters: int) -> Self:
        """Padded to whole multiples of so many rows, or of ``with_adapters`` where one is used."""
        token_ids: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        keep: list[int] = []
        for piece in pieces:
            token_ids += piece.token_ids
            positions += range(piece.start, piece.start + len(piece.token_ids))
            slots += [piece.slot] * len(piece.token_ids)
            if piece.wants_logits:
                keep.append(len(token_ids) - 1)
        wanted = len(keep)
        if any(piece.slot != BASE for piece in pieces):
            multiple = max(multiple, with_adapters)
        last = slots[-1]  # so that a step of one adapter is one still
        for values, padding in ((token_ids, 0), (positions, 0), (slots, last), (keep, 0)):
            values += [padding] * (-len(values) % multiple)
        return cls(token_ids, positions, slots, keep or [0] * multiple, wanted)

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Token ids, positions and the rows to keep."""
        return (
            torch.tensor(self.token_ids, device=device),
            torch.tensor(self.positions, device=device),
            torch.tensor(self.keep, device=device),
        )
