"""Packed steps over pages of one pool, decode steps as graphs: the way of GPUs.

Knows tensors and caches; knows no request, no sampling, no text.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.batch import Piece, Rows
from playground.engine.forward import Forward
from playground.engine.graphs import DecodeGraphs
from playground.engine.lora import AdapterBank
from playground.engine.paged import PagedStep, PagePool, PoolShape, Tables, kernel_agrees


class PagedRunner:
    """Runs packed steps of one model of the lean family; `budget` comes before the first step.

    ``kernel`` says whether this machine attends over pages by a kernel: else they are no gain. An
    int8 model's steps are not captured: LLM.int8() (arXiv:2208.07339) looks for outliers on the
    host.
    """

    packs = True

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
        self.kernel = kernel_agrees(self._shape, heads)
        self._captures = not getattr(model, "is_loaded_in_8bit", False)
        self._forward = forward
        self.adapters = adapters
        self._pool: PagePool | None = None
        self._graphs: DecodeGraphs | None = None

    def budget(self, tokens: int, context: int) -> PagePool:
        """The pool: room for keys and values of so many tokens, at most ``context`` a sequence."""
        self._pool = PagePool(self._shape, tokens)
        if self._captures and (self.kernel or self._shape.device.type == "cpu"):
            self._graphs = DecodeGraphs(
                self._forward, self.adapters, self._pool, context=context, kernel=self.kernel
            )
        return self._pool

    @torch.inference_mode()
    def forward(self, pieces: Sequence[Piece]) -> Tensor:
        """See `PackedRunner.forward`."""
        assert self._pool is not None
        logits = self._graphs.run(pieces) if self._graphs else None
        if logits is not None:
            return logits.float()
        rows = Rows.of(pieces, self._forward.row_multiple, self.adapters.row_multiple)
        self.adapters.select(rows.slots)
        device = self._shape.device
        step = PagedStep(
            self._pool,
            Tables.of(pieces, len(rows.token_ids), device),
            longest=max(piece.start + len(piece.token_ids) for piece in pieces),
            widest=max(len(piece.token_ids) for piece in pieces),
            kernel=self.kernel,
        )
        return self._forward(*rows.tensors(device), step)[: rows.wanted].float()
