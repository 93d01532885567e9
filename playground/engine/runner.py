"""One packed forward through the model: token ids of many sequences in, next-token logits out.

Chooses the way a model is run. Knows tensors and caches; knows no request, no sampling, no text.
"""

import logging
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.attention import PackedStep
from playground.engine.batch import ScheduledChunk, StepInputs
from playground.engine.forward import Forward, TransformersForward
from playground.engine.fused_llama import FusedLlamaForward, is_fusable
from playground.engine.kv_cache import CacheBudget, SequenceCache
from playground.engine.linear import can_pack
from playground.engine.lora import AdapterBank
from playground.engine.paged_runner import PagedRunner
from playground.engine.sequential import SequentialRunner
from playground.models.int_linear import IntLinear
from playground.models.plan import available_bytes

MAX_COPY_FRACTION = 0.5
"""Of the free memory: a larger model's weights are not copied into the CPU's packed layout."""
PROBE_PROMPTS = ([5, 3, 8, 2, 7], [4, 9, 3])
"""Token ids that show whether a model computes the same packed as alone; any would do."""
TOLERANCE = {torch.float32: 0.01}
TOLERANCE_IN_16_BITS = 0.2
"""Largest difference of log-probabilities that counts as rounding."""

Layout = Literal["auto", "contiguous", "paged"]
"""How keys and values lie: one tensor a sequence, or blocks of one pool, which is what "auto" means
where there is a kernel for it."""

log = logging.getLogger(__name__)


class PackedRunner:
    """Runs packed steps on one model."""

    supports_batching = True

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank, forward: Forward) -> None:
        self._device = model.get_input_embeddings().weight.device
        self._layers: int = model.config.num_hidden_layers
        self._forward = forward
        self.adapters = adapters

    def budget(self, tokens: int, context_length: int) -> CacheBudget:  # noqa: ARG002 - paging needs it
        """Return the budget that sequences share: ``tokens`` of keys and values."""
        return CacheBudget(tokens)

    @torch.inference_mode()
    def forward(self, chunks: Sequence[ScheduledChunk]) -> Tensor:
        """Return fp32 logits ``[rows, vocabulary]``: of a chunk `ScheduledChunk.num_logits` rows,
        those after its last tokens.

        Keys and values of all chunks are stored in their caches, which must have room. Running the
        same chunks again stores and returns the same.
        """
        inputs = StepInputs.of(chunks, self._forward.row_multiple, self.adapters.row_multiple)
        step = PackedStep(chunks, self._layers, self.adapters.for_rows(inputs.slots))
        return self._forward(*inputs.tensors(self._device), step)[: inputs.num_logits].float()


Runner = PackedRunner | PagedRunner | SequentialRunner


def choose_runner(
    model: PreTrainedModel, adapter_slots: int = 8, layout: Layout = "auto"
) -> Runner:
    """Return the fastest runner that is right for this model; warn where it is the slower one."""
    adapters = AdapterBank(model, adapter_slots)
    if is_fusable(model):
        copies = model.num_parameters() * model.dtype.itemsize
        fit = copies <= MAX_COPY_FRACTION * available_bytes(model.device)
        integers = any(isinstance(module, IntLinear) for module in model.modules())
        packed = fit and can_pack(model.dtype, model.device) and not integers
        forward = FusedLlamaForward(model, adapters, packed=packed)
        paged = PagedRunner(model, adapters, forward)
        if layout == "paged" or (layout == "auto" and paged.use_kernel):
            return paged
        return PackedRunner(model, adapters, forward)
    reason = "its attention does not go through transformers' interface"
    if getattr(model, "_supports_attention_backend", False):
        before, reference = model.config._attn_implementation, _probe_alone(model)
        runner = PackedRunner(model, adapters, TransformersForward(model, adapters))
        reason = _check_packed_matches(runner, reference, model.dtype)
        if not reason:
            return runner
        model.set_attn_implementation(before)
    log.warning(
        "%s answers one sequence after another, which is slower: %s", type(model).__name__, reason
    )
    return SequentialRunner(model, adapters)


@torch.inference_mode()
def _probe_alone(model: PreTrainedModel) -> list[Tensor]:
    """Return what transformers computes after each of the probe prompts."""
    device = model.get_input_embeddings().weight.device
    return [
        model(torch.tensor([ids], device=device), use_cache=False).logits[0, -1].float()
        for ids in PROBE_PROMPTS
    ]


def _check_packed_matches(runner: PackedRunner, reference: list[Tensor], dtype: torch.dtype) -> str:
    """Return why packed steps are not what the model computes; empty if they are.

    The probes are run side by side and in two steps each, so that all that is carried from one step
    to the next would have to be in our cache.
    """
    caches = [SequenceCache() for _ in PROBE_PROMPTS]
    for cache in caches:
        cache.reserve(len(PROBE_PROMPTS[0]))
    try:
        for begin, end in ((0, 2), (2, None)):
            chunks = [
                ScheduledChunk(cache, ids[begin:end], begin, wants_logits=True)
                for cache, ids in zip(caches, PROBE_PROMPTS, strict=True)
            ]
            logits = runner.forward(chunks)
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        return f"packed steps fail: {error}"
    difference = max(
        (packed.log_softmax(-1) - alone.log_softmax(-1)).abs().max().item()
        for packed, alone in zip(logits, reference, strict=True)
    )
    if difference <= TOLERANCE.get(dtype, TOLERANCE_IN_16_BITS):
        return ""
    return f"packed steps give other probabilities, by up to {difference:.2g}"
