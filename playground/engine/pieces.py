"""What a step is made of: stretches of sequences, as tensors' side knows them."""

from collections.abc import Sequence
from dataclasses import dataclass

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
