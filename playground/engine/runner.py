"""One packed forward through the model: token ids of many sequences in, next-token logits out.

Chooses the way a model is run. Knows tensors and caches; knows no request, no sampling, no text.
"""

import itertools
import logging
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.attention import PackedSegment, PackedStep
from playground.engine.batch import Piece, Rows
from playground.engine.forward import Forward, TransformersForward
from playground.engine.fused_llama import FusedLlamaForward, is_fusable
from playground.engine.kv_cache import CacheBudget, SequenceCache
from playground.engine.linear import can_pack
from playground.engine.lora import AdapterBank
from playground.engine.paged_runner import PagedRunner
from playground.engine.sequential import SequentialRunner
from playground.models.plan import available_bytes

SHARE_FOR_COPIES = 0.5
"""Of the free memory: a larger model's weights are used as they are."""
TRIED = ([5, 3, 8, 2, 7], [4, 9, 3])
"""Token ids that say whether a model computes the same packed as alone; any would do."""
ROUNDING = {torch.float32: 0.01}
ROUNDING_IN_16_BITS = 0.2
"""Largest difference of log-probabilities that is rounding."""

Layout = Literal["auto", "contiguous", "paged"]
"""How keys and values lie: each sequence's in one piece, or in pages of one pool, which is what
"auto" means where there is a kernel for it."""

log = logging.getLogger(__name__)


class PackedRunner:
    """Runs packed steps on one model."""

    packs = True

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank, forward: Forward) -> None:
        self._device = model.get_input_embeddings().weight.device
        self._layers: int = model.config.num_hidden_layers
        self._forward = forward
        self.adapters = adapters

    def budget(self, tokens: int, context: int) -> CacheBudget:  # noqa: ARG002 - pages need it
        """Room for keys and values of so many tokens, of at most ``context`` for each sequence."""
        return CacheBudget(tokens)

    @torch.inference_mode()
    def forward(self, pieces: Sequence[Piece]) -> Tensor:
        """Logits ``[pieces that want them, vocabulary]`` after each such piece's last token, fp32.

        Keys and values of all pieces are stored in their caches, which must have room. Running the
        same pieces again stores and returns the same.
        """
        rows = Rows.of(pieces, self._forward.row_multiple, self.adapters.row_multiple)
        self.adapters.select(rows.slots)
        begins = itertools.accumulate((len(piece.token_ids) for piece in pieces), initial=0)
        segments = [
            PackedSegment(piece.cache, begin, piece.start, piece.start + len(piece.token_ids))
            for piece, begin in zip(pieces, begins, strict=False)
        ]
        step = PackedStep(segments, self._layers)
        return self._forward(*rows.tensors(self._device), step)[: rows.wanted].float()


Runner = PackedRunner | PagedRunner | SequentialRunner


def runner_of(model: PreTrainedModel, adapter_slots: int = 8, layout: Layout = "auto") -> Runner:
    """The fastest way this model can be run and be right; says so where it is the slower one."""
    adapters = AdapterBank(model, adapter_slots)
    if is_fusable(model):
        copies = model.num_parameters() * model.dtype.itemsize
        fit = copies <= SHARE_FOR_COPIES * available_bytes(model.device)
        packed = fit and can_pack(model.dtype, model.device)
        forward = FusedLlamaForward(model, adapters, packed=packed)
        paged = PagedRunner(model, adapters, forward)
        if layout == "paged" or (layout == "auto" and paged.kernel):
            return paged
        return PackedRunner(model, adapters, forward)
    why = "its attention does not go through transformers' interface"
    if getattr(model, "_supports_attention_backend", False):
        before, alone = model.config._attn_implementation, _alone(model)
        runner = PackedRunner(model, adapters, TransformersForward(model))
        why = _disagreement(runner, alone, model.dtype)
        if not why:
            return runner
        model.set_attn_implementation(before)
    log.warning(
        "%s answers one sequence after another, which is slower: %s", type(model).__name__, why
    )
    return SequentialRunner(model, adapters)


@torch.inference_mode()
def _alone(model: PreTrainedModel) -> list[Tensor]:
    """What transformers computes after each of the sequences tried."""
    device = model.get_input_embeddings().weight.device
    return [
        model(torch.tensor([ids], device=device), use_cache=False).logits[0, -1].float()
        for ids in TRIED
    ]


def _disagreement(runner: PackedRunner, alone: list[Tensor], dtype: torch.dtype) -> str:
    """Why packed steps are not what the model computes; empty if they are.

    Sequences are run side by side and in two steps each, so that all that is carried from one
    step to the next would have to be in our cache.
    """
    caches = [SequenceCache() for _ in TRIED]
    for cache in caches:
        cache.reserve(len(TRIED[0]))
    try:
        for begin, end in ((0, 2), (2, None)):
            pieces = [
                Piece(cache, ids[begin:end], begin, wants_logits=True)
                for cache, ids in zip(caches, TRIED, strict=True)
            ]
            logits = runner.forward(pieces)
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        return f"packed steps fail: {error}"
    furthest = max(
        (ours.log_softmax(-1) - theirs.log_softmax(-1)).abs().max().item()
        for ours, theirs in zip(logits, alone, strict=True)
    )
    if furthest <= ROUNDING.get(dtype, ROUNDING_IN_16_BITS):
        return ""
    return f"packed steps give other probabilities, by up to {furthest:.2g}"
