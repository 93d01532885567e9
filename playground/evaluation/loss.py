"""Held-out loss: the negative log-likelihood of what would be learned, in nats a token.

Knows a causal language model and examples; the same number as TRL's eval loss and as a sum by hand.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from finetune.data.examples import MASKED, TrainingExample


@torch.no_grad()
def losses(model: Any, examples: Sequence[TrainingExample]) -> list[tuple[float, int]]:
    """For each example the summed loss of its learned tokens, and how many these are."""
    was_training = model.training
    model.eval()
    found = []
    for example in examples:
        ids_T = torch.tensor(example.token_ids, device=model.device)  # noqa: N806
        labels_T = torch.tensor(example.labels, device=model.device)[1:]  # noqa: N806
        kept = (labels_T != MASKED).nonzero()[:, 0]
        output = model(input_ids=ids_T[None], use_cache=False, logits_to_keep=kept)
        loss = cross_entropy(output.logits[0].float(), labels_T[kept], reduction="sum")
        found.append((float(loss), len(kept)))
    model.train(was_training)
    return found


def mean_loss(each: Sequence[tuple[float, int]]) -> float:
    """Nats a token over all examples; nan if there is no token."""
    tokens = sum(count for _, count in each)
    return sum(total for total, _ in each) / tokens if tokens else float("nan")


def perplexity(loss: float) -> float:
    """e to the loss."""
    return math.exp(min(loss, 700.0))
