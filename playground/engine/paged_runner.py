"""Packed steps over the blocks of one pool, decode steps as CUDA graphs: the runner for GPUs.

Knows tensors and caches; knows no request, no sampling, no text.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.batch import ScheduledChunk, StepInputs
from playground.engine.forward import Forward
from playground.engine.graphs import DecodeGraphs
from playground.engine.lora import BASE, AdapterBank
from playground.engine.paged import (
    AttentionMetadata,
    BlockPool,
    PagedStep,
    PoolShape,
    kernel_agrees,
)


class PagedRunner:
    """Runs packed steps of a model that `FusedLlamaForward` knows; call `budget` before the first.

    Without ``use_kernel`` this machine has no kernel for attention over blocks, and they gain
    nothing. An int8 model's steps are not captured: LLM.int8() (arXiv:2208.07339) looks for
    outliers on the host.
    """

    supports_batching = True

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank, forward: Forward) -> None:
        config = model.config
        heads = config.num_attention_heads
        self._shape = PoolShape(
            layers=config.num_hidden_layers,
            kv_heads=config.num_key_value_heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
            dtype=model.dtype,
            device=model.get_input_embeddings().weight.device,
        )
        self.use_kernel = kernel_agrees(self._shape, heads, adapters.for_rows([BASE]))
        self._captures = not getattr(model, "is_loaded_in_8bit", False)
        self._forward = forward
        self.adapters = adapters
        self._pool: BlockPool | None = None
        self._graphs: DecodeGraphs | None = None

    @property
    def captured_sizes(self) -> tuple[int, ...]:
        """Rows of the decode steps that are captured; none where steps run as they are."""
        return self._graphs.sizes if self._graphs else ()

    def budget(self, tokens: int, context_length: int) -> BlockPool:
        """Allocate the pool: ``tokens`` in all, at most ``context_length`` a sequence."""
        self._pool = BlockPool(self._shape, tokens)
        if self._captures and (self.use_kernel or self._shape.device.type == "cpu"):
            self._graphs = DecodeGraphs(
                self._forward,
                self.adapters,
                self._pool,
                context_length=context_length,
                use_kernel=self.use_kernel,
            )
        return self._pool

    @torch.inference_mode()
    def forward(self, chunks: Sequence[ScheduledChunk]) -> Tensor:
        """See `PackedRunner.forward`."""
        if self._pool is None:
            raise RuntimeError("call budget() before the first step")
        logits = self._graphs.run(chunks) if self._graphs else None
        if logits is not None:
            return logits.float()
        inputs = StepInputs.of(chunks, self._forward.row_multiple, self.adapters.row_multiple)
        device = self._shape.device
        metadata = AttentionMetadata.of(chunks, len(inputs.token_ids), device)
        adapters = self.adapters.for_rows(inputs.slots)
        step = PagedStep(self._pool, metadata, adapters, use_kernel=self.use_kernel)
        return self._forward(*inputs.tensors(device), step)[: inputs.num_logits].float()
