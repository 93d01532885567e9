"""The forward that the runner calls: a packed step's tokens in, logits out. Here transformers' own.

Knows tensors; knows no sequence and no request. `fused_llama` has the faster one of one family.
"""

from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.attention import Step, register_attention
from playground.engine.linear import MKL_ROWS
from playground.engine.lora import AdapterBank


class Forward(Protocol):
    """A model's forward; its steps are padded to a multiple of ``row_multiple`` rows."""

    row_multiple: int

    def __call__(
        self, token_ids: Tensor, positions: Tensor, logits_rows: Tensor, step: Step
    ) -> Tensor:
        """Return the logits ``[logits_rows, vocabulary]`` after those rows, in the model's dtype.

        ``token_ids`` and ``positions`` are ``[rows]``, the step's chunks one after another.
        """


def plain_row_multiple(model: PreTrainedModel) -> int:
    """Return the multiple that the row count is padded to for torch's own matmuls."""
    uses_mkl = model.device.type == "cpu" and model.dtype == torch.float32
    return MKL_ROWS if uses_mkl else 1


class TransformersForward:
    """Any model whose attention goes through transformers' attention interface."""

    def __init__(self, model: PreTrainedModel, adapters: AdapterBank) -> None:
        model.set_attn_implementation(register_attention())
        self._model = model
        self._adapters = adapters
        self.row_multiple = plain_row_multiple(model)

    def __call__(
        self, token_ids: Tensor, positions: Tensor, logits_rows: Tensor, step: Step
    ) -> Tensor:
        """See `Forward`."""
        with self._adapters.hooks_use(step.adapters):
            output = self._model(
                input_ids=token_ids[None],
                position_ids=positions[None],
                use_cache=False,
                logits_to_keep=logits_rows,
                step=step,
            )
        logits: Tensor = output.logits[0]
        return logits
