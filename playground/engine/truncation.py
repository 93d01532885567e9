"""Drawing a token of each row of logits: temperature, top-k, top-p, min-p, one uniform number.

Knows tensors; knows no request. Every row is treated as if it were alone, and tokens are ranked by
logit, then by id, however many of them are ranked: results depend neither on the other rows nor on
the method that was used. Of the methods, only `draw_wider` waits for a GPU.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

WIDTHS = (256, 4096)
"""How many of the most likely tokens are ranked, one after the other, before all are sorted."""
INVALID_LOGITS, NEEDS_FULL_SORT = -1, -2
"""In place of a token: the row has no finite maximum; what may be drawn goes beyond the ranking."""
BLOCK_TOKENS = 512
"""Tokens whose weights are summed up in fp32; the sums are added in double."""
MIN_TEMPERATURE = 1e-30
"""The lowest temperature of weights in fp32: only the most likely tokens are left there anyway."""
MIN_LOG_WEIGHT = -80.0
"""Logarithm of a weight that counts as zero: a CPU is slow on subnormal numbers and infinity."""


@dataclass(frozen=True, slots=True, eq=False)
class SamplingBatch:
    """Rows to draw from: ``logits`` fp32 ``[rows, vocabulary]``, the others double ``[rows, 1]``.

    ``peak`` is a row's largest logit; ``uniform`` is from [0, 1); temperatures are above 0, and a
    ``top_k`` of 0 is off.
    """

    logits: Tensor
    peak: Tensor
    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    uniform: Tensor

    def select(self, rows: Tensor | slice) -> "SamplingBatch":
        """Return only those rows."""
        return SamplingBatch(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The most likely tokens, ``logits`` and ``ids`` ``[rows, width]``, most likely first.

    The first ``num_certain`` ``[rows]`` of each are those that a stable sort of all would put
    first; the order of the others is open, since more tokens have the last one's logit.
    """

    logits: Tensor
    ids: Tensor
    num_certain: Tensor


def rank(logits: Tensor, width: int) -> Ranking:
    """Rank the ``width`` most likely tokens of each row ``[rows, vocabulary]``, all if fewer."""
    if width >= logits.shape[-1]:
        ids = _sorted(logits)
        return Ranking(logits.gather(-1, ids), ids, torch.full_like(ids[:, 0], logits.shape[-1]))
    ids = logits.topk(width, dim=-1, sorted=False).indices.sort(dim=-1).values
    values, order = torch.sort(logits.gather(-1, ids), dim=-1, descending=True, stable=True)
    return Ranking(values, ids.gather(-1, order), (values > values[:, -1:]).sum(dim=-1))


def _sorted(logits: Tensor) -> Tensor:
    """Return all ids ``[rows, vocabulary]`` by falling logit, then rising id.

    On a CPU the keys are integers with the falling logit in the upper half and the id in the lower:
    NumPy sorts those some four times as fast as torch sorts floats with their indices.
    """
    if logits.device.type != "cpu":
        return torch.sort(logits, dim=-1, descending=True, stable=True).indices
    bits = (logits + 0.0).view(torch.int32)  # sign and magnitude of a float; -0 becomes 0
    rising = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    keys = (~rising).long() << 32 | torch.arange(logits.shape[-1])
    return torch.from_numpy(np.sort(keys.numpy(), axis=-1)) & 0xFFFFFFFF


def most_likely(logits: Tensor, count: int) -> Tensor:
    """Return the ids ``[rows, count]`` of the most likely tokens, as a stable sort orders them."""
    ranking = rank(logits, 2 * count)
    ids = ranking.ids[:, :count]
    (uncertain,) = (ranking.num_certain < count).nonzero(as_tuple=True)
    if len(uncertain):
        ids[uncertain] = rank(logits[uncertain], logits.shape[-1]).ids[:, :count]
    return ids


def draw_untruncated(batch: SamplingBatch) -> Tensor:
    """Draw a token ``[rows]`` from each row's whole distribution, or give `INVALID_LOGITS`.

    The cumulative distribution is inverted in the order of ids: first to a block, then within it.
    """
    blocks = _weights(batch)
    sums = blocks.sum(dim=-1).double()
    cumulative = _cumulative(sums)
    target = batch.uniform * cumulative[:, -1:]
    block = _invert(cumulative, target)
    target = target - (cumulative.gather(-1, block) - sums.gather(-1, block))
    within = blocks.take_along_dim(block.unsqueeze(-1), dim=1).squeeze(1).double()
    index = _invert(_cumulative(within), target.clamp_min(0))
    return _or_invalid((block * BLOCK_TOKENS + index).squeeze(-1), batch)


def draw_ranked(batch: SamplingBatch) -> Tensor:
    """Draw a token ``[rows]`` from what top-k, top-p and min-p leave, by inverting in rank order.

    For rows with a top-k or without a top-p. Gives `INVALID_LOGITS`, or `NEEDS_FULL_SORT` where
    more than ``WIDTHS[0]`` tokens are left.
    """
    return _draw_ranked(batch, torch.ones_like(batch.peak), WIDTHS[0])


def draw_nucleus(batch: SamplingBatch) -> Tensor:
    """As `draw_ranked`, for any rows: top-p without top-k needs the whole distribution's mass."""
    return _draw_ranked(batch, _mass(batch), WIDTHS[0])


def draw_wider(batch: SamplingBatch) -> Tensor:
    """As `draw_nucleus`, ranking as many tokens as it takes: never `NEEDS_FULL_SORT`."""
    mass = _mass(batch)
    tokens = _draw_ranked(batch, mass, WIDTHS[1])
    for row in (tokens == NEEDS_FULL_SORT).nonzero().flatten().tolist():
        one = slice(row, row + 1)  # one by one, or it takes many times the logits' memory
        tokens[one] = _draw_ranked(batch.select(one), mass[one], batch.logits.shape[-1])
    return tokens


def _draw_ranked(batch: SamplingBatch, mass: Tensor, width: int) -> Tensor:
    ranking = rank(batch.logits, width)
    weights, complete = truncate(ranking, batch, mass)
    cumulative = _cumulative(weights)
    index = _invert(cumulative, batch.uniform * cumulative[:, -1:])
    tokens = ranking.ids.gather(-1, index).squeeze(-1)
    return _or_invalid(tokens.masked_fill_(~complete, NEEDS_FULL_SORT), batch)


def _or_invalid(tokens: Tensor, batch: SamplingBatch) -> Tensor:
    return tokens.masked_fill_(~batch.peak.isfinite().squeeze(-1), INVALID_LOGITS)


def truncate(ranking: Ranking, batch: SamplingBatch, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights ``[rows, width]`` of the ranked tokens in double, zero where they are cut off,
    and ``[rows]`` whether a row's set is complete: it may go on beyond the ranking.

    The most likely token's weight is 1; ``mass`` ``[rows, 1]`` is that of the whole vocabulary,
    needed where there is a top-p and no top-k.
    """
    weights = torch.exp((ranking.logits.double() - batch.peak) / batch.temperature)
    index = torch.arange(weights.shape[-1], device=weights.device)
    weights.masked_fill_((index >= batch.top_k) & (batch.top_k > 0), 0.0)
    cumulative = weights.cumsum(dim=-1)  # nucleus sampling, arXiv:1904.09751
    total = torch.where(batch.top_k > 0, cumulative[:, -1:], mass)
    outside = (cumulative - weights >= batch.top_p * total) & (batch.top_p < 1) & (index > 0)
    weights.masked_fill_(outside, 0.0)
    weights.masked_fill_(weights < batch.min_p, 0.0)  # arXiv:2407.01082
    within = batch.top_k.squeeze(-1) <= weights.shape[-1]
    return weights, within & ((weights > 0).sum(dim=-1) <= ranking.num_certain)


def _mass(batch: SamplingBatch) -> Tensor:
    """Return double ``[rows, 1]``: the weight of the whole vocabulary."""
    return _cumulative(_weights(batch).sum(dim=-1).double())[:, -1:]


def _weights(batch: SamplingBatch) -> Tensor:
    """Return fp32 ``[rows, blocks, BLOCK_TOKENS]``: 1 for the most likely token, 0 for padding."""
    temperature = batch.temperature.float().clamp_min(MIN_TEMPERATURE)
    below = (batch.logits - batch.peak.float()).div_(temperature).clamp_min_(MIN_LOG_WEIGHT)
    weights = torch.threshold_(below.exp_(), 2 * math.exp(MIN_LOG_WEIGHT), 0.0)
    missing = -weights.shape[-1] % BLOCK_TOKENS
    weights = pad(weights, (0, missing)) if missing else weights
    return weights.view(len(weights), -1, BLOCK_TOKENS)


def _cumulative(weights: Tensor) -> Tensor:
    """Return cumulative sums ``[rows, n]`` that never fall, nor rise where there is no weight,
    though a device may add in any order.
    """
    return weights.cumsum(dim=-1).masked_fill_(weights == 0, 0.0).cummax(dim=-1).values


def _invert(cumulative: Tensor, target: Tensor) -> Tensor:
    """Return the first index ``[rows, 1]`` whose cumulative sum is above the target, or the last
    with any weight; any index where sums are not finite.
    """
    end = torch.nextafter(cumulative[:, -1:], torch.zeros_like(target))
    index = torch.searchsorted(cumulative, torch.minimum(target, end), right=True)
    return index.clamp_max_(cumulative.shape[-1] - 1)
