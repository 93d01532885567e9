"""Held-out loss: the negative log-likelihood of the answer's tokens, in nats per token.

Knows a causal language model and token ids. The same number as TRL's eval loss (a test compares).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

IGNORE_INDEX = -100
"""The label that does not count (torch.nn.CrossEntropyLoss)."""


class LabeledTokens(Protocol):
    """Token ids, and the same ids where they count for the loss, else `IGNORE_INDEX`."""

    @property
    def token_ids(self) -> Sequence[int]:
        """The whole rendered row."""
        ...

    @property
    def labels(self) -> Sequence[int]:
        """As long as ``token_ids``."""
        ...


class RowLoss(NamedTuple):
    """A row's summed loss in nats, and how many tokens it is summed over."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.total / self.tokens


@torch.no_grad()
def losses(model: PreTrainedModel, rows: Iterable[LabeledTokens]) -> list[RowLoss]:
    """Return each row's loss. The model is left in the mode, training or not, that it was in."""
    was_training = model.training
    model.eval()
    row_losses = []
    for row in rows:
        ids_T = torch.tensor(row.token_ids, device=model.device)  # noqa: N806
        labels_T = torch.tensor(row.labels, device=model.device)[1:]  # noqa: N806
        counted = (labels_T != IGNORE_INDEX).nonzero()[:, 0]
        output = model(input_ids=ids_T[None], use_cache=False, logits_to_keep=counted)
        loss = cross_entropy(output.logits[0].float(), labels_T[counted], reduction="sum")
        row_losses.append(RowLoss(float(loss), len(counted)))
    model.train(was_training)
    return row_losses
