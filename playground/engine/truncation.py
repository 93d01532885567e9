"""Drawing a token of each row of logits: temperature, top-k, top-p, min-p, one uniform number.

Knows tensors; knows no request. Every row is treated as if it were alone, and the most likely
tokens are ranked by logit, then by id, however many of them are looked at: results depend neither
on the other rows nor on the way that was taken. Of the ways to draw, only `draw_wider` waits for a
GPU.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

WIDTHS = (256, 4096)
"""How many of the likeliest tokens are looked at, one after the other, before all are sorted."""
NOTHING, WIDER = -1, -2
"""In place of a token: the row has no finite largest logit; its set is wider than looked at."""
BLOCK = 512
"""Tokens whose weights are summed up in fp32; the sums are added in double."""
COLDEST = 1e-30
"""The lowest temperature of weights in fp32: only the likeliest are left already."""

FAINTEST = -80.0
"""Logarithm of a weight that counts as nought: a CPU is slow on subnormal numbers and infinity."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
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

    def at(self, rows: Tensor | slice) -> "Rows":
        """Only those rows."""
        return Rows(*(getattr(self, each.name)[rows] for each in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The likeliest tokens, ``logits`` and ``ids`` ``[rows, width]``, the likeliest first.

    The first ``certain`` ``[rows]`` of each are those that a stable sort of all would put first;
    which come after is open, since more tokens have the last one's logit.
    """

    logits: Tensor
    ids: Tensor
    certain: Tensor


def rank(logits: Tensor, width: int) -> Ranking:
    """The ``width`` likeliest tokens of each row ``[rows, vocabulary]``; all of them if fewer."""
    if width >= logits.shape[-1]:
        ids = _sorted(logits)
        return Ranking(logits.gather(-1, ids), ids, torch.full_like(ids[:, 0], logits.shape[-1]))
    ids = logits.topk(width, dim=-1, sorted=False).indices.sort(dim=-1).values
    values, order = torch.sort(logits.gather(-1, ids), dim=-1, descending=True, stable=True)
    return Ranking(values, ids.gather(-1, order), (values > values[:, -1:]).sum(dim=-1))


def _sorted(logits: Tensor) -> Tensor:
    """All ids ``[rows, vocabulary]``, the likeliest first, then the lowest.

    On a CPU as numbers whose upper half orders as the logits fall, the lower being the id: NumPy
    sorts those some four times as fast as torch sorts floats with their places.
    """
    if logits.device.type != "cpu":
        return torch.sort(logits, dim=-1, descending=True, stable=True).indices
    bits = (logits + 0.0).view(torch.int32)  # of a float: sign and size; -0 is made 0
    rising = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    keys = (~rising).long() << 32 | torch.arange(logits.shape[-1])
    return torch.from_numpy(np.sort(keys.numpy(), axis=-1)) & 0xFFFFFFFF


def likeliest(logits: Tensor, count: int) -> Tensor:
    """Ids ``[rows, count]`` of the likeliest tokens, as a stable sort would put them."""
    ranking = rank(logits, 2 * count)
    ids = ranking.ids[:, :count]
    (unsure,) = (ranking.certain < count).nonzero(as_tuple=True)
    if len(unsure):
        ids[unsure] = rank(logits[unsure], logits.shape[-1]).ids[:, :count]
    return ids


def draw_untruncated(rows: Rows) -> Tensor:
    """A token ``[rows]`` of each row's whole distribution, or `NOTHING`. The distribution is
    inverted in the order of ids: first to a block, then within it.
    """
    blocks = _weights(rows)
    sums = blocks.sum(dim=-1).double()
    cumulative = _cumulative(sums)
    target = rows.uniform * cumulative[:, -1:]
    block = _invert(cumulative, target)
    target = target - (cumulative.gather(-1, block) - sums.gather(-1, block))
    within = blocks.take_along_dim(block.unsqueeze(-1), dim=1).squeeze(1).double()
    place = _invert(_cumulative(within), target.clamp_min(0))
    return _or_nothing((block * BLOCK + place).squeeze(-1), rows)


def draw_ranked(rows: Rows) -> Tensor:
    """A token ``[rows]`` of what top-k, top-p and min-p leave of each row's distribution, which is
    inverted in the order of rank; or `NOTHING`, or `WIDER` than ``WIDTHS[0]`` tokens. For rows with
    a top-k or without a top-p.
    """
    return _draw_ranked(rows, torch.ones_like(rows.peak), WIDTHS[0])


def draw_nucleus(rows: Rows) -> Tensor:
    """As `draw_ranked`, for any rows: a top-p without a top-k is of the whole distribution."""
    return _draw_ranked(rows, _mass(rows), WIDTHS[0])


def draw_wider(rows: Rows) -> Tensor:
    """As `draw_nucleus`, looking at as many tokens as it takes: never `WIDER`."""
    mass = _mass(rows)
    tokens = _draw_ranked(rows, mass, WIDTHS[1])
    for place in (tokens == WIDER).nonzero().flatten().tolist():
        one = slice(place, place + 1)  # alone, or memory is many times the logits'
        tokens[one] = _draw_ranked(rows.at(one), mass[one], rows.logits.shape[-1])
    return tokens


def _draw_ranked(rows: Rows, mass: Tensor, width: int) -> Tensor:
    ranking = rank(rows.logits, width)
    weights, found = truncated(ranking, rows, mass)
    cumulative = _cumulative(weights)
    place = _invert(cumulative, rows.uniform * cumulative[:, -1:])
    tokens = ranking.ids.gather(-1, place).squeeze(-1)
    return _or_nothing(tokens.masked_fill_(~found, WIDER), rows)


def _or_nothing(tokens: Tensor, rows: Rows) -> Tensor:
    return tokens.masked_fill_(~rows.peak.isfinite().squeeze(-1), NOTHING)


def truncated(ranking: Ranking, rows: Rows, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Weights ``[rows, width]`` in double of the ranked tokens, nought where they are cut off, and
    whether a row's set is found ``[rows]``: it may go on beyond the ranking.

    The likeliest token's weight is 1; ``mass`` ``[rows, 1]`` is that of the whole vocabulary, of
    use where there is a top-p and no top-k.
    """
    weights = torch.exp((ranking.logits.double() - rows.peak) / rows.temperature)
    place = torch.arange(weights.shape[-1], device=weights.device)
    weights.masked_fill_((place >= rows.top_k) & (rows.top_k > 0), 0.0)
    cumulative = weights.cumsum(dim=-1)  # nucleus sampling, arXiv:1904.09751
    total = torch.where(rows.top_k > 0, cumulative[:, -1:], mass)
    outside = (cumulative - weights >= rows.top_p * total) & (rows.top_p < 1) & (place > 0)
    weights.masked_fill_(outside, 0.0)
    weights.masked_fill_(weights < rows.min_p, 0.0)  # arXiv:2407.01082
    within = rows.top_k.squeeze(-1) <= weights.shape[-1]
    return weights, within & ((weights > 0).sum(dim=-1) <= ranking.certain)


def _mass(rows: Rows) -> Tensor:
    """Double ``[rows, 1]``: the weight of the whole vocabulary."""
    return _cumulative(_weights(rows).sum(dim=-1).double())[:, -1:]


def _weights(rows: Rows) -> Tensor:
    """Fp32 ``[rows, blocks, BLOCK]``: each token's weight, 1 for the likeliest, 0 for padding."""
    temperature = rows.temperature.float().clamp_min(COLDEST)
    below = (rows.logits - rows.peak.float()).div_(temperature).clamp_min_(FAINTEST)
    weights = torch.threshold_(below.exp_(), 2 * math.exp(FAINTEST), 0.0)
    missing = -weights.shape[-1] % BLOCK
    weights = pad(weights, (0, missing)) if missing else weights
    return weights.view(len(weights), -1, BLOCK)


def _cumulative(weights: Tensor) -> Tensor:
    """Cumulative sums ``[rows, n]`` that never fall, nor rise where there is no weight, though a
    device may add in any order.
    """
    return weights.cumsum(dim=-1).masked_fill_(weights == 0, 0.0).cummax(dim=-1).values


def _invert(cumulative: Tensor, target: Tensor) -> Tensor:
    """The first place ``[rows, 1]`` whose cumulative sum is above the target, or the last with any
    weight; any place where sums are not finite.
    """
    end = torch.nextafter(cumulative[:, -1:], torch.zeros_like(target))
    place = torch.searchsorted(cumulative, torch.minimum(target, end), right=True)
    return place.clamp_max_(cumulative.shape[-1] - 1)
