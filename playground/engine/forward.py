"""What the runner asks of a model: a packed step's tokens in, logits out. Here, transformers' own.

Knows tensors; knows no sequence and no request. The lean way of doing the same is in `lean`.
"""

from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from playground.engine.attention import Step, register
from playground.engine.linear import MKL_ROWS


class Forward(Protocol):
    """``row_multiple``: steps are padded to whole multiples of so many rows."""

    row_multiple: int

    def __call__(self, token_ids: Tensor, positions: Tensor, keep: Tensor, step: Step) -> Tensor:
        """Logits ``[keep, vocabulary]`` after the rows that ``keep`` names, in the model's dtype.

        ``token_ids`` and ``positions`` are ``[rows]``, the step's sequences one after another.
        """


def plain_row_multiple(model: PreTrainedModel) -> int:
    """Of how many rows torch's own products are given whole multiples."""
    by_mkl = model.device.type == "cpu" and model.dtype == torch.float32
    return MKL_ROWS if by_mkl else 1


class TransformersForward:
    """Any model whose attention goes through transformers' attention interface."""

    def __init__(self, model: PreTrainedModel) -> None:
        model.set_attn_implementation(register())
        self._model = model
        self.row_multiple = plain_row_multiple(model)

    def __call__(self, token_ids: Tensor, positions: Tensor, keep: Tensor, step: Step) -> Tensor:
        """See `Forward`."""
        output = self._model(
            input_ids=token_ids[None],
            position_ids=positions[None],
            use_cache=False,
            logits_to_keep=keep,
            step=step,
        )
        logits: Tensor = output.logits[0]
        return logits
