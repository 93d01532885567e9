"""One packed forward through the model: token ids of many sequences in, next-token logits out.

Knows tensors and caches; knows no request, no sampling and no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.attention import PackedSegment, register
from playground.engine.kv_cache import SequenceCache
from playground.engine.lora import BASE, AdapterBank
from playground.errors import UnsupportedModel
from playground.models.loaded import wants_one_thread

ROW_MULTIPLE = 4
"""Steps are padded to whole multiples of this many rows.

With fewer rows MKL takes another path for fp32, whose sums differ in the last bit; from four rows
on, and in bf16 always, a row's result does not depend on the others (measured in docs/log.md).
"""


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


class Runner:
    """Runs packed steps on one model.

    Raises `UnsupportedModel` for a model whose attention cannot be taken over.
    """

    def __init__(self, model: PreTrainedModel, adapter_slots: int = 8) -> None:
        if not getattr(model, "_supports_attention_backend", False):
            raise UnsupportedModel(
                f"{type(model).__name__} does not use transformers' attention interface, "
                "which the engine needs to batch requests"
            )
        model.set_attn_implementation(register())
        self._model = model
        self._device = model.get_input_embeddings().weight.device
        self.adapters = AdapterBank(model, model.dtype, adapter_slots)
        self._one_thread = wants_one_thread(model)

    def choose_threads(self) -> None:
        """Set the number of CPU threads of the thread that is going to call `forward`."""
        if self._one_thread:
            torch.set_num_threads(1)

    @torch.inference_mode()
    def forward(self, pieces: Sequence[Piece]) -> Tensor:
        """Logits ``[pieces that want them, vocabulary]`` after each such piece's last token, fp32.

        Keys and values of all pieces are stored in their caches, which must have room. Running the
        same pieces again stores and returns the same.
        """
        token_ids: list[int] = []
        positions: list[int] = []
        segments: list[PackedSegment] = []
        keep: list[int] = []
        slots: list[int] = []
        for piece in pieces:
            stop = piece.start + len(piece.token_ids)
            segments.append(PackedSegment(piece.cache, len(token_ids), piece.start, stop))
            token_ids += piece.token_ids
            positions += range(piece.start, stop)
            slots += [piece.slot] * len(piece.token_ids)
            if piece.wants_logits:
                keep.append(len(token_ids) - 1)
        wanted = len(keep)
        _pad(token_ids, 0)
        _pad(positions, 0)
        _pad(keep, 0)
        _pad(slots, BASE)
        self.adapters.select(slots)
        output = self._model(
            input_ids=self._tensor(token_ids)[None],
            position_ids=self._tensor(positions)[None],
            use_cache=False,
            logits_to_keep=self._tensor(keep or [0]),
            segments=segments,
        )
        logits: Tensor = output.logits[0, :wanted]
        return logits.float()

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)


def _pad(values: list[int], with_value: int) -> None:
    values += [with_value] * (-len(values) % ROW_MULTIPLE)
