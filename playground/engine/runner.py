"""One packed forward through the model: token ids of many sequences in, next-token logits out.

Knows tensors and caches; knows no request, no sampling and no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.attention import PackedSegment, PackedStep
from playground.engine.forward import Forward, TransformersForward
from playground.engine.kv_cache import SequenceCache
from playground.engine.lean import LeanForward, is_lean
from playground.engine.linear import can_pack
from playground.engine.lora import BASE, AdapterBank
from playground.errors import UnsupportedModel
from playground.models.loaded import wants_one_thread
from playground.models.plan import available_bytes

SHARE_FOR_COPIES = 0.5
"""Of the free memory: a larger model's weights are used as they are."""


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
        self._device = model.get_input_embeddings().weight.device
        self._layers: int = model.config.num_hidden_layers
        self.adapters = AdapterBank(model, model.dtype, adapter_slots)
        self._forward: Forward = _forward_of(model, self.adapters)
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
        rows = self._forward.row_multiple
        _pad(token_ids, 0, rows)
        _pad(positions, 0, rows)
        _pad(keep, 0, rows)
        _pad(slots, BASE, rows)
        self.adapters.select(slots)
        logits = self._forward(
            self._tensor(token_ids),
            self._tensor(positions),
            self._tensor(keep or [0] * rows),
            PackedStep(segments, self._layers),
        )
        return logits[:wanted].float()

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)


def _forward_of(model: PreTrainedModel, adapters: AdapterBank) -> Forward:
    if not is_lean(model):
        return TransformersForward(model)
    device = model.device
    copies = model.num_parameters() * model.dtype.itemsize
    fit = copies <= SHARE_FOR_COPIES * available_bytes(device)
    return LeanForward(model, adapters, packed=fit and can_pack(model.dtype, device))


def _pad(values: list[int], with_value: int, multiple: int) -> None:
    values += [with_value] * (-len(values) % multiple)
